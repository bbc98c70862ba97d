"""The retry policy, asked by Airflow's own task runner when a real error has come from the fake."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from tests.airflow_versions import AIRFLOW

if AIRFLOW < (3, 3):
    pytest.skip("Airflow 3.3 and later: before, it has no retry policies", allow_module_level=True)

from airflow.sdk import RetryAction, RetryRule

from airflow_provider_freddy import exceptions
from airflow_provider_freddy.core.problem import Problem, ProblemKind
from airflow_provider_freddy.core.request import ApiRequest
from airflow_provider_freddy.retry_policy import FREDDY_RETRY_POLICY, FreddyRetryPolicy
from airflow_provider_freddy.testing import FakeFreddy
from tests.dag_runs.conftest import RunResult


def delays_and_reasons(dag_id: str, run: RunResult) -> list[tuple[float | None, str | None]]:
    """Return what Airflow has stored with every try that was followed by another."""
    from airflow.models.taskinstancehistory import TaskInstanceHistory
    from airflow.utils.session import create_session

    with create_session() as session:
        rows = session.query(TaskInstanceHistory).filter_by(dag_id=dag_id, run_id=run.run_id)
        return [(row.retry_delay_override, row.retry_reason) for row in rows.order_by(TaskInstanceHistory.try_number)]


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 401, "code": "invalid_api_key"},
        {"status": 403, "code": "insufficient_permissions"},
        {"status": 422, "code": "invalid"},
    ],
)
def test_what_will_not_pass_fails_at_once(run_dag: Callable, fake_freddy_connection: FakeFreddy, fault: Any) -> None:
    fake_freddy_connection.fault("status", method="POST", times=None, **fault)
    run = run_dag("operator_with_policy")
    assert run.tasks == {"ask": "failed"}
    assert len(fake_freddy_connection.requests) == 1
    assert delays_and_reasons("operator_with_policy", run) == []
    assert "Retry policy decision" in run.log


@pytest.mark.parametrize(
    ("fault", "decision"),
    [
        ({"status": 429, "retry_after": 2}, (2.0, "Freddy asks to wait for 2 s")),
        ({"status": 429}, (None, "Freddy asks to slow down")),
        ({"status": 503}, (None, "Freddy cannot be reached")),
        ({"kind": "garbage", "body": "html"}, (None, "What answered is not Freddy, or not well")),
    ],
)
def test_what_can_pass_is_tried_again(
    run_dag: Callable, fake_freddy_connection: FakeFreddy, fault: Any, decision: tuple[float | None, str]
) -> None:
    fake_freddy_connection.fault(**{"kind": "status", "method": "GET", "times": None, **fault})
    run = run_dag("function_with_policy")
    assert run.tasks == {"ask": "failed"}
    assert delays_and_reasons("function_with_policy", run) == [decision]
    assert len(fake_freddy_connection.responses) == 2
    assert fake_freddy_connection.left_running == []


def test_everything_else_is_left_to_airflow_or_to_the_authors_rules() -> None:
    for error in (exceptions.FreddyNotFoundError("gone"), exceptions.FreddyTaskKilledError("marked"), OSError("disk")):
        assert FREDDY_RETRY_POLICY.evaluate(error, 1, 3).action is RetryAction.DEFAULT
    policy = FreddyRetryPolicy([RetryRule(OSError, RetryAction.FAIL, reason="mine")])
    assert policy.evaluate(OSError("disk"), 1, 3).reason == "mine"
    assert policy.evaluate(exceptions.FreddyUnavailableError("away"), 1, 3).action is RetryAction.RETRY


@pytest.mark.parametrize(("asked", "given"), [(0.0, 0.0), (3600.0, 3600.0), (1.8e9, 3600.0), (1e300, 3600.0)])
def test_it_waits_for_an_hour_at_the_most(asked: float, given: float) -> None:
    problem = Problem(ProblemKind.RATE_LIMITED, ApiRequest("GET", "/x"), "slow down", 429, retry_after=asked)
    decision = FREDDY_RETRY_POLICY.evaluate(exceptions.error_for(problem), 1, 3)
    assert decision.retry_delay is not None
    assert decision.retry_delay.total_seconds() == given


def test_it_can_be_serialized_and_shared_between_processes() -> None:
    copy = pickle.loads(pickle.dumps(FREDDY_RETRY_POLICY))
    assert copy.serialize() == FREDDY_RETRY_POLICY.serialize()
    decision = copy.evaluate(exceptions.FreddyRateLimitedError("slow down"), 1, 3)
    assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, None)
