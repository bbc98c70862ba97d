"""The record in XComs and in the task state store, and what a try reads of the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_freddy import record, stored_record
from airflow_provider_freddy.record import RecordedResponse, StartedResponse, TaskTry
from airflow_provider_freddy.stored_record import RECORD_KEY, keep_for_retry, kept_for_retry
from tests.unit.test_rules import Store, Ti, entry


@dataclass
class RetriedTi(Ti):
    """A task instance with retries, which notes what it is asked for."""

    max_tries: int = 2
    asked: list[dict[str, Any]] = field(default_factory=list)
    pushed: list[str] = field(default_factory=list)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed.append(key)
        super().xcom_push(key, value)

    def xcom_pull(self, **which: Any) -> list[Any]:
        self.asked.append(which)
        return super().xcom_pull(**which)


class Hook:
    """The open hook of a response, as far as the record uses it."""

    def __init__(self, freddy_conn_id: str = "freddy_default") -> None:
        self.freddy_conn_id = freddy_conn_id
        self.resolved = False

    def sibling(self, freddy_conn_id: str) -> Hook:
        return Hook(freddy_conn_id)

    def resolve(self) -> None:
        self.resolved = True

    @property
    def session_description(self) -> dict[str, Any]:
        return {"connection": self.freddy_conn_id}


@pytest.fixture
def context(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"ti": RetriedTi(run_id=request.node.nodeid), "task_state_store": Store()}


def read(one: dict[str, Any]) -> RecordedResponse:
    found = RecordedResponse.read(one)
    assert found is not None
    return found


def ids(entries: list[RecordedResponse]) -> list[str]:
    return [one.response_id for one in entries]


@pytest.fixture
def left_to_retry(context: dict[str, Any]) -> dict[str, Any]:
    """The context of a second try, to which the first one has left its response."""
    ti = context["ti"]
    context["task_state_store"].set(RECORD_KEY, [entry("resp_1", ti), entry("resp_0", ti)])
    assert keep_for_retry(context, "resp_1") is True
    ti.try_number = 2
    return context


def test_a_retry_finds_what_the_last_try_has_left_to_it(left_to_retry: dict[str, Any]) -> None:
    kept = kept_for_retry(left_to_retry)
    assert kept == read(entry("resp_1", left_to_retry["ti"], try_number=1))


@pytest.mark.parametrize(
    "what_happened",
    [
        {"max_tries": 3},  # a clear gives it more tries
        {"try_number": 3, "max_tries": 3},
        {"try_number": 3},  # the second try was killed
        {"try_number": 1},
    ],
)
def test_after_a_clear_or_a_kill_it_finds_nothing(left_to_retry: dict[str, Any], what_happened: dict[str, Any]) -> None:
    vars(left_to_retry["ti"]).update(what_happened)
    assert kept_for_retry(left_to_retry) is None


def test_it_does_not_find_what_is_settled(left_to_retry: dict[str, Any]) -> None:
    stored_record.forget_earlier_tries(left_to_retry, ["resp_1"])
    assert kept_for_retry(left_to_retry) is None
    assert ids(stored_record.left_by_earlier_tries(left_to_retry)) == ["resp_0"]


def test_where_there_is_no_store_nothing_can_be_left_to_a_retry(context: dict[str, Any]) -> None:
    context["task_state_store"] = None
    assert keep_for_retry(context, "resp_1") is False
    context["ti"].try_number = 2
    assert kept_for_retry(context) is None
    assert stored_record.left_by_earlier_tries(context) == []


@pytest.mark.parametrize("garbage", ["resp_1", ["resp_1"], {}, {"response_id": "resp_1"}])
def test_garbage_in_the_store_is_nothing_left_to_a_retry(left_to_retry: dict[str, Any], garbage: Any) -> None:
    left_to_retry["task_state_store"].set(stored_record.KEPT_KEY, garbage)
    assert kept_for_retry(left_to_retry) is None


def test_only_earlier_tries_of_the_same_task_instance_have_left_something(context: dict[str, Any]) -> None:
    ti = context["ti"]
    ti.try_number = 3
    context["task_state_store"].set(
        RECORD_KEY,
        [
            entry("first", ti, try_number=1),
            entry("second", ti, try_number=2),
            entry("this", ti),
            entry("later", ti, try_number=4),
            entry("sibling", ti, try_number=1, map_index=0),
            entry("kept running", ti, try_number=1, cancel_on_failure=False),
        ],
    )
    assert ids(stored_record.left_by_earlier_tries(context)) == ["first", "second"]


def test_a_try_is_told_once_what_earlier_ones_have_left(left_to_retry: dict[str, Any]) -> None:
    assert ids(stored_record.inherit(left_to_retry)) == ["resp_1", "resp_0"]
    assert stored_record.inherit(left_to_retry) == []
    left_to_retry["ti"].try_number = 3
    assert ids(stored_record.inherit(left_to_retry)) == ["resp_1", "resp_0"]


@pytest.mark.parametrize(("map_index", "which"), [(-1, {}), (0, {"map_indexes": [0]}), (2, {"map_indexes": [2]})])
def test_a_mapped_task_asks_for_its_own_index_and_another_for_none(
    context: dict[str, Any], map_index: int, which: dict[str, Any]
) -> None:
    ti = context["ti"]
    ti.map_index = map_index
    ti.xcoms = [[entry("mine", ti), entry("other try", ti, try_number=2)]]
    context["task_state_store"] = Store(broken=True)
    assert ids(stored_record.recorded_by_try(context, ask_store=False)) == ["mine"]
    assert ti.asked == [{"task_ids": ["t"], "key": RECORD_KEY, **which}]


def test_what_is_in_both_places_is_found_once(context: dict[str, Any]) -> None:
    ti = context["ti"]
    ti.xcoms = [[entry("both", ti)]]
    context["task_state_store"].set(RECORD_KEY, [entry("both", ti), entry("store", ti)])
    assert ids(stored_record.recorded_by_try(context, ask_store=True)) == ["both", "store"]


def test_without_xcoms_and_store_nothing_is_found(context: dict[str, Any]) -> None:
    context["ti"].xcoms = None
    context["task_state_store"] = None
    assert stored_record.recorded_by_try(context, ask_store=True) == []
    assert stored_record.recorded_by_run(context, ["t"]) == []


def test_of_a_run_all_tries_and_indexes_of_the_tasks_asked_for_are_found(context: dict[str, Any]) -> None:
    ti = context["ti"]
    of_u = [entry("mapped", ti, task_id="u", map_index=1, try_number=2), entry("other run", ti, run_id="another")]
    ti.xcoms = [[entry("mine", ti)], of_u, "no list", [entry("mine", ti), entry("other DAG", ti, dag_id="another")]]
    assert ids(stored_record.recorded_by_run(context, (name for name in "tu"))) == ["mine", "mapped"]
    assert ti.asked == [{"task_ids": ["t", "u"], "key": RECORD_KEY}]


def test_the_process_that_goes_on_with_a_try_takes_on_what_the_first_has_started(
    context: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[Any] = []
    monkeypatch.setattr(stored_record.watchdog, "start", lambda: None)
    monkeypatch.setattr(stored_record.watchdog, "watch", lambda *what: watched.append(what))
    ti = context["ti"]
    ti.resume_with("resume")
    ti.xcoms = [[{**entry("before", ti), "freddy_conn_id": "another"}]]
    hook = Hook()
    record.register(context, "after", "org_fake", hook, cancel_on_failure=True)
    stored_record.publish(context, hook)
    assert ids([read(one) for one in ti.xcoms[0]]) == ["after", "before"]
    assert context["task_state_store"][RECORD_KEY] == ti.xcoms[0]
    before = record.started("before")
    assert before is not None
    assert (before.hook.freddy_conn_id, before.hook.resolved) == ("another", True)
    assert watched == [("before", before.record.organization_id, {"connection": "another"})]
    stored_record.publish(context, hook)
    assert len(ti.asked) == 1


def test_a_rescheduled_try_takes_on_what_only_the_store_still_has(context: dict[str, Any]) -> None:
    context["task_reschedule_count"] = 1
    context["task_state_store"].set(RECORD_KEY, [entry("in store", context["ti"])])
    stored_record.publish(context, Hook())
    assert ids([read(one) for one in context["ti"].xcoms[0]]) == ["in store"]


def test_a_process_that_has_begun_its_try_does_not_ask(context: dict[str, Any]) -> None:
    context["ti"].resume_with(None)
    stored_record.publish(context, Hook())
    assert context["ti"].asked == []
    assert context["ti"].pushed == [RECORD_KEY]


@pytest.mark.parametrize("store", [None, Store()], ids=["no store", "a broken store"])
def test_a_record_that_can_be_written_nowhere_is_an_error(context: dict[str, Any], store: Store | None) -> None:
    def refuse(**_: Any) -> None:
        raise OSError("no XComs today")

    context["ti"].resume_with(None)
    context["ti"].xcom_push = refuse
    context["task_state_store"] = store
    if store is not None:
        store.set = None
    with pytest.raises(OSError, match="no XComs today"):
        stored_record.publish(context, Hook())


def test_one_place_that_cannot_be_written_is_told_in_the_log(
    context: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    context["ti"].resume_with(None)
    context["task_state_store"].set = None
    stored_record.publish(context, Hook())
    assert [one.getMessage() for one in caplog.records] == [
        "The record of started Freddy responses is kept in one place only: 'NoneType' object is not callable"
    ]


@pytest.mark.parametrize("field_of_entry", ["response_id", "try_number", "cancel_on_failure"])
@pytest.mark.parametrize("wrong", [None, [], 1.5])
def test_an_entry_of_another_shape_is_none(field_of_entry: str, wrong: Any) -> None:
    one = entry("resp_1", Ti())
    assert read(one).response_id == "resp_1"
    assert RecordedResponse.read({**one, field_of_entry: wrong}) is None
    assert RecordedResponse.read({name: value for name, value in one.items() if name != field_of_entry}) is None


def test_what_this_process_knows_itself_is_not_replaced_by_what_it_reads(context: dict[str, Any]) -> None:
    mine, adopted = Hook(), Hook()
    record.register(context, "known", "org_fake", mine, cancel_on_failure=True)
    record.adopt(StartedResponse(read(entry("known", context["ti"])), adopted))
    (known,) = record.started_by(TaskTry.of(context))
    assert known.hook is mine


def test_lost_responses_and_what_is_left_to_a_retry_are_noted_for_their_try_alone(context: dict[str, Any]) -> None:
    this_try = TaskTry.of(context)
    next_try = this_try._replace(try_number=2)
    record.note_lost(this_try, "one")
    record.note_lost(this_try, "two")
    record.keep(this_try, "resp_1")
    record.close(this_try)
    assert (record.lost_by(this_try), record.lost_by(next_try)) == (["one", "two"], [])
    assert (record.kept_by(this_try), record.kept_by(next_try)) == ("resp_1", None)
    assert (record.is_closed(this_try), record.is_closed(next_try)) == (True, False)


def test_what_became_of_a_response_is_noted_for_it_alone(context: dict[str, Any]) -> None:
    for response_id in ("ended", "running"):
        record.register(context, response_id, "org_fake", Hook(), cancel_on_failure=True)
    record.note_ending("ended", "it was cancelled")
    record.note_ending("of another process", "it was cancelled")
    assert [one.ending for one in record.started_by(TaskTry.of(context))] == ["it was cancelled", None]


def test_where_a_response_came_from_is_added_to_its_metadata(context: dict[str, Any]) -> None:
    this_try = TaskTry("d", "r", "t", 0, 2)
    where = {
        "airflow_dag_id": "d",
        "airflow_run_id": "r",
        "airflow_task_id": "t",
        "airflow_map_index": "0",
        "airflow_try_number": "2",
    }
    assert this_try.add_to_metadata(None) == where
    assert this_try.add_to_metadata({"mine": 1, "airflow_dag_id": "own"}) == {
        **where,
        "mine": 1,
        "airflow_dag_id": "own",
    }
    assert this_try.add_to_metadata("no mapping") == "no mapping"
    assert str(this_try) == "d.t[0], run r, try 2"
    assert str(this_try._replace(map_index=-1)) == "d.t, run r, try 2"
