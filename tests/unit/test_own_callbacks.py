"""An operator that starts a response brings the callbacks that Airflow calls when its worker is lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, TaskGroup

from airflow_provider_freddy.callbacks import CancelResponseCallback, cancel_response_on_failure
from airflow_provider_freddy.guard import guard
from airflow_provider_freddy.notifications.freddy import CancelResponseNotifier
from airflow_provider_freddy.operators.freddy import CancelResponseOperator, CreateResponseOperator
from tests.airflow_versions import dag_from_dict, dag_to_dict, needs_airflow, not_on_airflow

pytestmark = not_on_airflow("3.0", because="its DAG processor cannot read what was started, so nothing is brought")
NAMES = ["on_failure_callback", "on_retry_callback"]
OURS = cancel_response_on_failure


def author(context: Any) -> None: ...


def other(context: Any) -> None: ...


def ask(mapped: bool, **arguments: Any) -> Any:
    """Return the operator as it stands in the DAG."""
    if mapped:
        return CreateResponseOperator.partial(task_id="ask", **arguments).expand(inputs=["a", "b"])
    return CreateResponseOperator(task_id="ask", inputs="a", **arguments)


def callbacks(task: Any, name: str) -> list[Any]:
    return list(getattr(task, name))


every_way = pytest.mark.parametrize("mapped", [False, True], ids=["plain", "mapped"])
each = pytest.mark.parametrize("name", NAMES)


@each
@every_way
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, [OURS]),
        ([], [OURS]),
        (author, [author, OURS]),
        ([author, other], [author, other, OURS]),
        ((author,), [author, OURS]),
        ([OURS, author], [OURS, author]),
    ],
    ids=["nothing", "an empty list", "one", "a list", "a tuple", "ours"],
)
def test_ours_comes_after_the_authors_and_once(name: str, mapped: bool, given: Any, expected: list[Any]) -> None:
    with DAG("d", schedule=None):
        assert callbacks(ask(mapped, **{name: given}), name) == expected


@each
@every_way
def test_a_callback_for_other_responses_does_not_stand_in_for_ours(name: str, mapped: bool) -> None:
    own, others = CancelResponseCallback(budget=3), CancelResponseCallback(task_ids="other")
    given = CancelResponseCallback(response_id="resp_1")
    with DAG("d", schedule=None):
        assert callbacks(ask(mapped, **{name: [others, given]}), name) == [others, given, OURS]
    with DAG("d", schedule=None):
        assert callbacks(ask(mapped, **{name: [own]}), name) == [own]


@each
@every_way
def test_a_notifier_of_ours_is_the_same(name: str, mapped: bool) -> None:
    own, others = CancelResponseNotifier(), CancelResponseNotifier(task_ids="other")
    with DAG("d", schedule=None):
        assert callbacks(ask(mapped, **{name: own}), name) == [own]
    with DAG("d", schedule=None):
        assert callbacks(ask(mapped, **{name: others}), name) == [others, OURS]


@each
@every_way
def test_default_args_count_and_are_not_changed(name: str, mapped: bool) -> None:
    given = [author]
    with DAG("d", schedule=None, default_args={name: given}):
        task = ask(mapped)
    assert callbacks(task, name) == [author, OURS]
    assert given == [author]


@each
def test_a_mapped_one_has_it_once_when_it_runs(name: str) -> None:
    with DAG("d", schedule=None):
        task = ask(True, **{name: author}, execution_timeout=timedelta(minutes=1))
    operator = task.unmap({"inputs": "a"})
    assert callbacks(operator, name) == [author, OURS]
    assert (operator.inputs, operator.execution_timeout) == ("a", timedelta(minutes=1))


@every_way
def test_a_guarded_dag_calls_it_once(mapped: bool) -> None:
    with DAG("d", schedule=None) as dag:
        task = ask(mapped)
    guard(dag)
    assert [callbacks(task, name) for name in NAMES] == [[OURS], [OURS]]


@every_way
@needs_airflow("3.1", "before, Airflow looks for the callbacks of a task whether it has any or not")
def test_the_scheduler_is_told(mapped: bool) -> None:
    with DAG("d", schedule=None) as dag:
        ask(mapped)
    task = dag_from_dict(dag_to_dict(dag)).get_task("ask")
    assert (task.has_on_failure_callback, task.has_on_retry_callback) == (True, True)


def test_an_operator_that_starts_nothing_brings_none() -> None:
    with DAG("d", schedule=None):
        assert not CancelResponseOperator(task_id="cancel").on_failure_callback


def test_a_task_is_named_by_its_group_and_takes_its_default_args() -> None:
    with DAG("d", schedule=None), TaskGroup("g", default_args={"on_failure_callback": author, "retries": 3}):
        tasks = [ask(mapped=False), CreateResponseOperator.partial(task_id="mapped").expand(inputs=["a"])]
    assert [task.task_id for task in tasks] == ["g.ask", "g.mapped"]
    assert [task.retries for task in tasks] == [3, 3]
    assert [callbacks(task, "on_failure_callback") for task in tasks] == [[author, OURS]] * 2
