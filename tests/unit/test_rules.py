"""
The rules that callbacks and the record keep, one by one.

Airflow is stood in for by a task instance and a store that answer as the real ones do; what Airflow really does is
the business of the live tests.
"""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest

from airflow_provider_freddy import callback_run, record
from airflow_provider_freddy.arming import cancel_what_is_left, release_what_goes_on
from airflow_provider_freddy.callbacks import cancel_response_on_failure
from airflow_provider_freddy.exceptions import FreddyInvalidRequestError, FreddyTaskKilledError, FreddyUnavailableError
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.operators.freddy import CreateResponseOperator
from airflow_provider_freddy.record import RecordedResponse
from airflow_provider_freddy.stored_record import RECORD_KEY
from airflow_provider_freddy.testing import FakeFreddy
from tests.airflow_versions import needs_airflow, not_on_airflow

xcoms_in_the_dag_processor = not_on_airflow("3.0", because="it does not let a callback in the DAG processor read XComs")


class Task:
    def on_kill(self) -> None: ...


@dataclass
class Ti:
    """A task instance with the XComs of its run."""

    try_number: int = 1
    map_index: int = -1
    dag_id: str = "d"
    run_id: str = "r"
    task_id: str = "t"
    xcoms: list[Any] = field(default_factory=list)
    pulls: int = 0
    next_method: str | None = None

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms = [value]

    def resume_with(self, next_method: str | None) -> None:
        """Say by what method the try is resumed, as Airflow 2 and as Airflow 3 do."""
        self.next_method = next_method
        self._ti_context_from_server = type("FromServer", (), {"next_method": next_method})

    def xcom_pull(self, **_: Any) -> list[Any]:
        self.pulls += 1
        return self.xcoms


class Store(dict):
    """A task state store; one that is broken answers wrongly, one that hangs never."""

    def __init__(self, hangs: bool = False, broken: bool = False) -> None:
        self.hangs, self.broken, self.questions = hangs, broken, 0

    def get(self, key: str, default: Any = None) -> Any:
        self.questions += 1
        if self.hangs:
            time.sleep(60)
        if self.broken:
            raise TypeError("an answer to another question")
        return super().get(key, default)

    def set(self, key: str, value: Any) -> None:
        self[key] = value


@pytest.fixture
def run_id(request: pytest.FixtureRequest) -> str:
    return request.node.nodeid


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch, run_id: str) -> dict[str, Any]:
    """Run as in a task; the context is what callbacks are given in its process, but for the exception."""
    context = {"ti": Ti(run_id=run_id), "task": Task(), "task_state_store": Store()}
    monkeypatch.setattr(record, "running_task_context", lambda: context)
    return context


def failed(context: dict[str, Any]) -> dict[str, Any]:
    return {**context, "exception": RuntimeError("the task's own error")}


def entry(response_id: str, ti: Ti, **other: Any) -> dict[str, Any]:
    known = {name: getattr(ti, name) for name in ("dag_id", "run_id", "task_id", "map_index", "try_number")}
    return asdict(RecordedResponse(response_id, "org_fake", "freddy_default", **{**known, **other}))


def started_elsewhere(number: int = 1) -> list[str]:
    """Start responses of which this process knows nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record, "running_task_context", lambda: None)
        return [FreddyHook().create_response("hello").id for _ in range(number)]


@xcoms_in_the_dag_processor
def test_in_the_dag_processor_only_the_same_try_of_the_same_map_index_is_touched(
    fake_freddy_connection: FakeFreddy,
) -> None:
    mine, next_try, sibling, other_task = started_elsewhere(4)
    ti = Ti(map_index=2, try_number=1)
    ti.xcoms = [
        [entry(mine, ti), entry(next_try, ti, try_number=2)],
        [entry(sibling, ti, map_index=3), entry(other_task, ti, task_id="u")],
        "no list",
        [{"response_id": "no entry"}, None],
    ]
    cancel_response_on_failure({"ti": ti})
    assert fake_freddy_connection.left_running == [next_try, sibling, other_task]


def test_in_the_dag_processor_the_store_is_never_asked(fake_freddy_connection: FakeFreddy) -> None:
    store = Store(hangs=True)
    cancel_response_on_failure({"ti": Ti(try_number=3), "task_state_store": store, "task_reschedule_count": 2})
    assert store.questions == 0


def test_airflow_3_0_is_not_asked_for_xcoms_in_the_dag_processor(
    fake_freddy_connection: FakeFreddy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("airflow_provider_freddy.version_compat.XCOMS_IN_DAG_PROCESSOR", False)
    ti = Ti()
    cancel_response_on_failure({"ti": ti})
    assert ti.pulls == 0
    assert "MAY STILL RUN AND COST MONEY. FreddyError: Airflow 3.0 does not let a callback" in caplog.text
    cancel_response_on_failure(failed({"ti": ti}))
    assert ti.pulls == 1


@pytest.mark.parametrize("trouble", ["hangs", "broken"])
def test_a_store_in_trouble_does_not_cost_the_own_response_its_cancel(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any], monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    monkeypatch.setattr(callback_run, "STORE_SECONDS", 0.3)
    task["ti"].try_number = 2
    FreddyHook().create_response("hello")
    task["task_state_store"] = Store(**{trouble: True})
    cancel_response_on_failure(failed(task))
    assert task["task_state_store"].questions == 1
    assert fake_freddy_connection.left_running == []


@needs_airflow("3.0", "Airflow 2 gives callbacks of every process the same context, so the record is read")
def test_a_task_that_started_nothing_asks_airflow_nothing(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    task["ti"].resume_with(None)
    cancel_response_on_failure(failed(task))
    assert (task["ti"].pulls, task["task_state_store"].questions) == (0, 0)
    assert "ERROR" not in caplog.text


def test_a_resumed_try_finds_what_was_started_before_the_deferral(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any]
) -> None:
    (before,) = started_elsewhere()
    ti = task["ti"]
    ti.resume_with("resume")
    ti.xcoms = [[entry(before, ti)]]
    after = FreddyHook().create_response("hello").id
    assert [one["response_id"] for one in ti.xcoms[0]] == [after, before]
    cancel_response_on_failure(failed(task))
    assert fake_freddy_connection.left_running == []


def test_a_rescheduled_try_finds_what_it_had_started_in_the_store(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any]
) -> None:
    (before,) = started_elsewhere()
    task["task_reschedule_count"] = 1
    task["task_state_store"].set(RECORD_KEY, [entry(before, task["ti"])])
    cancel_response_on_failure(failed(task))
    assert fake_freddy_connection.left_running == []


def test_the_next_try_cancels_what_an_earlier_one_left_and_forgets_it(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any]
) -> None:
    (left,) = started_elsewhere()
    ti = task["ti"]
    ti.try_number = 2
    task["task_state_store"].set(RECORD_KEY, [entry(left, ti, try_number=1)])
    mine = FreddyHook().create_response("hello").id
    assert fake_freddy_connection.left_running == [mine]
    assert [one["response_id"] for one in task["task_state_store"][RECORD_KEY]] == [mine]


def test_what_an_earlier_try_was_to_keep_is_kept(fake_freddy_connection: FakeFreddy, task: dict[str, Any]) -> None:
    (kept,) = started_elsewhere()
    ti = task["ti"]
    ti.try_number = 2
    task["task_state_store"].set(RECORD_KEY, [entry(kept, ti, try_number=1, cancel_on_failure=False)])
    mine = FreddyHook().create_response("hello").id
    assert fake_freddy_connection.left_running == [kept, mine]


@pytest.mark.parametrize("broken", ["xcom", "store"])
def test_one_place_for_the_record_is_enough(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any], broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("not to be written")

    monkeypatch.setattr(Ti if broken == "xcom" else Store, "xcom_push" if broken == "xcom" else "set", refuse)
    FreddyHook().create_response("hello")
    assert fake_freddy_connection.running_count == 1


def test_without_any_place_for_the_record_the_response_is_cancelled(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("not to be written")

    monkeypatch.setattr(Ti, "xcom_push", refuse)
    monkeypatch.setattr(Store, "set", refuse)
    with pytest.raises(OSError, match="not to be written"):
        FreddyHook().create_response("hello")
    assert fake_freddy_connection.left_running == []


def test_a_task_that_cannot_be_armed_does_not_keep_its_response(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any]
) -> None:
    del task["task"]
    with pytest.raises(KeyError):
        FreddyHook().create_response("hello")
    assert len(fake_freddy_connection.responses) == 1
    assert fake_freddy_connection.left_running == []


@pytest.mark.parametrize("killed", [False, True])
def test_what_a_kill_could_not_cancel_stays_with_the_watchdog(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any], monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    released: list[str] = []
    monkeypatch.setattr("airflow_provider_freddy.watchdog.client.release", released.append)
    response_id = FreddyHook().create_response("hello").id
    if killed:
        fake_freddy_connection.fault("status", method="DELETE", status=403, code="no", times=None)
        task["task"].on_kill()
    release_what_goes_on()
    assert (response_id in released) is not killed


def test_nothing_is_started_after_the_end_of_the_try(fake_freddy_connection: FakeFreddy, task: dict[str, Any]) -> None:
    FreddyHook().create_response("hello")
    task["task"].on_kill()
    with pytest.raises(FreddyTaskKilledError):
        FreddyHook().create_response("hello again")
    assert len(fake_freddy_connection.responses) == 1
    assert fake_freddy_connection.left_running == []


def test_what_a_thread_starts_while_the_try_ends_is_cancelled(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any]
) -> None:
    fake_freddy_connection.fault("delay", method="POST", seconds=0.5, after=True)
    errors: list[Exception] = []

    def create() -> None:
        try:
            FreddyHook().create_response("hello")
        except FreddyTaskKilledError as error:
            errors.append(error)

    thread = threading.Thread(target=create)
    thread.start()
    fake_freddy_connection.wait_for(lambda: fake_freddy_connection.responses, 10)
    cancel_what_is_left(failed(task))
    thread.join()
    assert len(errors) == 1
    assert fake_freddy_connection.left_running == []


def test_a_lost_id_is_told_in_the_last_line(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    fake_freddy_connection.fault("drop_after", method="POST")
    with pytest.raises(FreddyUnavailableError):
        FreddyHook().create_response("hello")
    caplog.clear()
    cancel_response_on_failure(failed(task))
    (line,) = [one for one in caplog.records if "Freddy callback for" in one.getMessage()]
    assert line.levelname == "ERROR"
    assert "MAY RUN AND COST MONEY" in line.getMessage()


def test_a_proxys_404_does_not_pass_for_freddys_word(
    fake_freddy_connection: FakeFreddy, task: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    FreddyHook().create_response("hello")
    fake_freddy_connection.fault("status", method="DELETE", status=404, body="<html>no such page</html>", times=2)
    cancel_response_on_failure(failed(task))
    assert fake_freddy_connection.left_running == []


@xcoms_in_the_dag_processor
def test_a_connection_that_is_gone_is_told_with_the_response(
    fake_freddy_connection: FakeFreddy, caplog: pytest.LogCaptureFixture
) -> None:
    (response_id,) = started_elsewhere()
    ti = Ti()
    ti.xcoms = [[entry(response_id, ti) | {"freddy_conn_id": "gone"}]]
    cancel_response_on_failure({"ti": ti})
    assert f"Response {response_id} MAY STILL RUN AND COST MONEY" in caplog.text


def test_arguments_of_the_hook_are_refused_among_the_parameters() -> None:
    operator = CreateResponseOperator(task_id="t", inputs="hello", parameters={"model": "m", "budget": 1})
    with pytest.raises(FreddyInvalidRequestError, match="budget, model cannot be given in parameters"):
        operator.execute({"ti": Ti()})
