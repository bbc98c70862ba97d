"""What an error means for the reader of a log: whether something still runs and costs money."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_freddy import record
from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.record import TaskTry


def warn_of_lost_reply(problem: Problem, context: Mapping[str, Any] | None) -> Problem:
    """
    Add to a failed create that it may have started something all the same, and note it for the callbacks.

    :param problem: what happened to the create.
    :param context: the context of the running task, if there is one.
    """
    if not problem.maybe_processed:
        return problem
    warned = problem.because(
        "Freddy may have started a response whose id never arrived: it MAY RUN AND COST MONEY, and can only be "
        "found in Freddy itself."
    )
    if context is not None:
        record.note_lost(TaskTry.of(context), str(warned))
    return warned


def say_what_it_costs(problem: Problem, response_id: str) -> Problem:
    """
    Add to a failed cancel whether the response may still run.

    :param problem: what happened to the cancel.
    :param response_id: the response.
    """
    if problem.kind is ProblemKind.NOT_FOUND:
        return problem.because(f"There is no response {response_id} to cancel in this organization.")
    return problem.because(f"Response {response_id} MAY STILL RUN AND COST MONEY.")
