"""The operator that cancels responses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Context, conf

from airflow_provider_freddy.core.endpoint import DEFAULT_CONN_ID
from airflow_provider_freddy.core.seconds import check_seconds
from airflow_provider_freddy.deferrable import DeferrableOperator
from airflow_provider_freddy.exceptions import (
    FreddyError,
    FreddyInvalidRequestError,
    FreddyNotFoundError,
    error_class,
)
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.links.freddy import FreddyResponseLink, push_link
from airflow_provider_freddy.version_compat import can_end_in_triggerer

# What runs a task is imported in the methods that run it: a DAG file imports this module on every parse.
if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import XComArg

    from airflow_provider_freddy.bulk import CancelTarget
    from airflow_provider_freddy.core.cancel import CancelResult

# More than these are told in one line only.
_LINES = 100


class CancelResponseOperator(DeferrableOperator):
    """
    Cancel responses: one, many, or everything that the run has started.

    A response that had already ended is no error. All are tried before the task fails. With its default it makes a
    teardown task, or a last task with any trigger rule, that leaves nothing of the run behind.

    :param response_id: an id, what ``CreateResponseOperator`` returned, or a list of these; ``"*"``, the default, is
        every response that tasks of this run have recorded. (templated)
    :param organization_id: the organization that owns them; the connection's by default. A recorded response brings
        its own. (templated)
    :param freddy_conn_id: the Airflow connection. A recorded response brings its own. (templated)
    :param ignore_missing: whether a response that the organization does not have (404) is no error.
    :param budget: seconds for all of them together, 60 by default.
    :param wait_until_cancelled: whether a cancel that Freddy has accepted counts only when the response is seen to
        have ended.
    :param deferrable: whether ``wait_until_cancelled`` waits, and cancels, in the triggerer; ``[operators]
        default_deferrable`` by default.
    :param end_in_triggerer: whether a deferred task all of whose responses have ended may end in the triggerer,
        without a worker (Airflow 3.3+); on by default. A task with outlets or with a success callback resumes.
    """

    template_fields: Sequence[str] = ("response_id", "organization_id", "freddy_conn_id")
    operator_extra_links = (FreddyResponseLink(),)
    ui_color = "#f8e4e4"

    #: Stands for every response that the run has recorded. Not ``None``: that is what an XCom which nobody pushed
    #: resolves to, and such a mistake must not cancel a whole run.
    EVERY_RESPONSE_OF_RUN = "*"

    def __init__(
        self,
        *,
        response_id: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] | XComArg = EVERY_RESPONSE_OF_RUN,
        organization_id: str | None = None,
        freddy_conn_id: str = DEFAULT_CONN_ID,
        ignore_missing: bool = False,
        budget: float = 60.0,
        wait_until_cancelled: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        end_in_triggerer: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.response_id = response_id
        self.organization_id = organization_id
        self.freddy_conn_id = freddy_conn_id
        self.ignore_missing = ignore_missing
        self.budget = check_seconds(budget, "budget")
        self.wait_until_cancelled = wait_until_cancelled
        self.deferrable = deferrable
        self.end_in_triggerer = end_in_triggerer

    def execute(self, context: Context) -> dict[str, dict[str, Any]]:
        """
        Cancel them all.

        :param context: the context of the task.
        :return: for every response id its ``outcome`` (``cancelled``, ``already_final``, or ``missing`` where that
            is ignored), final ``status`` and ``cancelled_at``. If the task fails, the XCom ``outcomes`` has those
            that did not.
        :raises FreddyError: the error of the one that failed, or one that names all that failed.
        """
        targets = self._targets(context)
        if self.wait_until_cancelled and self.deferrable and targets:
            _push_link(context, targets)
            self._defer(context, targets)
        outcomes = self._cancel(targets)
        _push_link(context, targets)
        return self._sum_up(context, outcomes, [target.response_id for target in targets])

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, dict[str, Any]]:
        """
        Take the task up again when the trigger has sent its event.

        :param context: the context of the task.
        :param event: the event: the outcomes by response id.
        :return: as :meth:`execute`.
        :raises FreddyError: as :meth:`execute`.
        """
        outcomes = event.get("outcomes") if isinstance(event, Mapping) else None
        if not isinstance(outcomes, Mapping) or not all(isinstance(one, Mapping) for one in outcomes.values()):
            raise FreddyError("The trigger has sent no outcomes: whether the responses still run is not known.")
        read = ((name, _read_outcome(outcome)) for name, outcome in outcomes.items())
        return self._sum_up(context, read, list(outcomes))

    def _cancel(self, targets: Sequence[CancelTarget]) -> Iterable[tuple[str, CancelResult | Exception]]:
        from airflow_provider_freddy.bulk import CONCURRENCY, cancel_all

        hook = targets[0].hook if targets else None
        if isinstance(hook, FreddyHook) and len(targets) > CONCURRENCY and self.response_id != "*":
            # All given, so of one connection and organization: over one session with many at once.
            ids = (target.response_id for target in targets)
            return hook.cancel_responses(
                ids,
                organization_id=self.organization_id,
                budget=self.budget,
                tell_status=True,
                verify=self.wait_until_cancelled,
            )
        return cancel_all(targets, self.budget, verify=self.wait_until_cancelled).items()

    def _sum_up(
        self,
        context: Context,
        outcomes: Iterable[tuple[str, CancelResult | Exception | Mapping[str, Any]]],
        order: Sequence[str],
    ) -> dict[str, dict[str, Any]]:
        """Return the outcomes in the order of the ids, whatever order they came in."""
        from airflow_provider_freddy.core.cancel import CancelResult

        number = len(order)
        results: dict[str, dict[str, Any]] = {}
        errors: dict[str, Exception] = {}
        for response_id, outcome in outcomes:
            if isinstance(outcome, FreddyNotFoundError) and self.ignore_missing:
                results[response_id] = {"outcome": "missing", "status": None, "cancelled_at": None}
            elif isinstance(outcome, Exception):
                errors[response_id] = outcome
            else:
                results[response_id] = outcome.as_dict() if isinstance(outcome, CancelResult) else dict(outcome)
                if number <= _LINES:
                    self.log.info("Freddy response %s: %s", response_id, results[response_id]["outcome"])
        results = {response_id: results[response_id] for response_id in order if response_id in results}
        if errors:
            context["ti"].xcom_push(key="outcomes", value=results)
            raise _all_in_one(errors, number)
        self.log.info("None of %d Freddy responses runs any longer.", number)
        return results

    def _defer(self, context: Context, targets: Sequence[CancelTarget]) -> None:
        from airflow_provider_freddy.core.problem import ProblemKind
        from airflow_provider_freddy.deferral import backstop, deadline
        from airflow_provider_freddy.triggers.cancel import CancelResponsesTrigger

        until = deadline(self.budget)
        trigger = CancelResponsesTrigger(
            targets=[[one.response_id, one.organization_id, one.freddy_conn_id] for one in targets],
            deadline=until,
            accept=[ProblemKind.NOT_FOUND.value] if self.ignore_missing else [],
            end_task=self.end_in_triggerer and can_end_in_triggerer(self, CancelResponseOperator),
            push_outcomes=bool(self.do_xcom_push),
        )
        self.hand_over(context, trigger, backstop(until))

    def _targets(self, context: Context) -> list[CancelTarget]:
        from airflow_provider_freddy.bulk import CancelTarget

        if self.response_id == self.EVERY_RESPONSE_OF_RUN:
            return _targets_of_run(context)
        hook = FreddyHook(self.freddy_conn_id)
        return [CancelTarget(one, hook, self.organization_id) for one in _response_ids(self.response_id)]


def _read_outcome(outcome: Mapping[str, Any]) -> Mapping[str, Any] | FreddyError:
    """Return what the trigger has said of one response, its error as one."""
    if isinstance(outcome.get("outcome"), str):
        return outcome
    return error_class(outcome.get("kind"))(str(outcome.get("error")))


def _push_link(context: Context, targets: Sequence[CancelTarget]) -> None:
    """Link the task's page to its response, where it is one."""
    if len(targets) == 1:
        push_link(context, targets[0].hook, targets[0].response_id, targets[0].organization_id)


def _targets_of_run(context: Context) -> list[CancelTarget]:
    from airflow_provider_freddy import stored_record
    from airflow_provider_freddy.bulk import CancelTarget

    entries = stored_record.recorded_by_run(context, context["dag"].task_ids)
    hooks = {conn_id: FreddyHook(conn_id) for conn_id in {entry.freddy_conn_id for entry in entries}}
    return [CancelTarget(entry.response_id, hooks[entry.freddy_conn_id], entry.organization_id) for entry in entries]


def _response_ids(given: Any) -> list[str]:
    """Return the ids in what a user, a template or an XCom gives, each once and in order."""
    items = list(given) if isinstance(given, Sequence | set) and not isinstance(given, str) else [given]
    ids = [item["id"] if isinstance(item, Mapping) and "id" in item else item for item in items]
    for one in ids:
        if not isinstance(one, str):
            raise FreddyInvalidRequestError(
                f"response_id must be an id, a response or a list of these, not {type(one).__name__}. "
                "If it comes from an XCom, the task that should push it has not."
            )
    return list(dict.fromkeys(ids))


def _all_in_one(errors: Mapping[str, Exception], number: int) -> Exception:
    """Return one error that names all, of their common class where they have one."""
    if len(errors) == 1:
        return next(iter(errors.values()))
    classes = {type(error) for error in errors.values()}
    error_class = classes.pop() if len(classes) == 1 else FreddyError
    if not issubclass(error_class, FreddyError):
        error_class = FreddyError
    lines = "".join(f"\n  {response_id}: {error}" for response_id, error in errors.items())
    return error_class(f"{len(errors)} of {number} Freddy responses were not cancelled:{lines}")
