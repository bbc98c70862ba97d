"""Every DAG of the README and of the pages is one, and ends as its page says: it is run against the fake."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_freddy.core import schedule
from airflow_provider_freddy.hooks.freddy import FreddyHook
from airflow_provider_freddy.testing import FakeFreddy
from tests.airflow_versions import dag_bag, needs_airflow, run_in_process
from tests.docs.blocks import BLOCKS, Block
from tests.docs.test_blocks import on_this_airflow

LONG, SHORT = 60.0, 0.1


@dataclass(frozen=True)
class Run:
    """
    How a DAG ends.

    :param state: the state of the run.
    :param seconds: how long its responses run, if nobody cancels them.
    :param cancelled: how many of them are cancelled.
    """

    state: str
    seconds: float
    cancelled: int


FAILS = Run("failed", LONG, 1)
ENDS_WELL = Run("success", SHORT, 0)

RUNS = {
    "my_first_freddy_dag": FAILS,
    "summaries": ENDS_WELL,
    "create_response": ENDS_WELL,
    "create_many": ENDS_WELL,
    "pay_once": ENDS_WELL,
    "cancel_one_and_the_rest": Run("success", LONG, 2),
    "stop_a_response": Run("success", LONG, 1),
    "wait_elsewhere": Run("success", 0.0, 0),
    "see_it_stop": Run("success", LONG, 1),
    "deferred": ENDS_WELL,
    "own_operator": ENDS_WELL,
    "own_cancel": Run("success", LONG, 1),
    "plain_function": ENDS_WELL,
    "cancel_a_file": Run("success", LONG, 2),
    "with_the_vendors_sdk": FAILS,
    "with_a_plain_request": FAILS,
    "look_after": ENDS_WELL,
    "with_callbacks": FAILS,
    "with_a_notifier": FAILS,
    "guarded_dag": ENDS_WELL,
    "with_retry_policy": ENDS_WELL,
    "with_a_rule_of_its_own": ENDS_WELL,
}
# dag.test() of Airflow 3.3.2 fails at the end of a DAG that has a deadline: these two run in `tests/live/dags/late.py`.
NOT_RUN = {"notified_when_late", "within_the_hour"}


def of_this_airflow(block: Block) -> Any:
    """Leave a DAG out where its page says that it needs a later Airflow."""
    marks = []
    if "DeadlineAlert" in block.text:
        marks.append(needs_airflow("3.2", "deadlines"))
    if "retry_policy" in block.text:
        marks.append(needs_airflow("3.3", "retry policies"))
    return pytest.param(block, id=str(block), marks=marks)


DAG_BLOCKS = [block for block in BLOCKS if block.dag_id]


def read_dag(block: Block, folder: Path) -> Any:
    (folder / "dag.py").write_text(on_this_airflow(block.text))
    bag = dag_bag(folder)
    assert bag.import_errors == {}
    (dag,) = bag.dags.values()
    return dag


def test_every_dag_is_run_or_says_why_not() -> None:
    assert {block.dag_id for block in DAG_BLOCKS} == set(RUNS) | NOT_RUN


def test_the_quickstart_is_under_ten_lines() -> None:
    block = next(block for block in DAG_BLOCKS if block.page.name == "README.md")
    assert len([line for line in block.text.splitlines() if line.strip()]) < 10


@pytest.mark.parametrize("block", [of_this_airflow(block) for block in DAG_BLOCKS if block.dag_id in NOT_RUN])
def test_the_dag_is_one(block: Block, tmp_path: Path) -> None:
    assert read_dag(block, tmp_path).dag_id == block.dag_id


@pytest.mark.usefixtures("_database")
@pytest.mark.parametrize("block", [of_this_airflow(block) for block in DAG_BLOCKS if block.dag_id in RUNS])
def test_the_dag_ends_as_its_page_says(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = RUNS[str(block.dag_id)]
    # Where a page has the default, nobody wants to wait for it here.
    monkeypatch.setattr(schedule.ADAPTIVE, "first", SHORT)
    monkeypatch.setattr(schedule.ADAPTIVE, "shortest", SHORT)
    with FakeFreddy(duration=expected.seconds) as freddy:
        monkeypatch.setenv("AIRFLOW_CONN_FREDDY_DEFAULT", freddy.connection_json())
        # Where Airflow looks for the DAG that it tests; it does not read the name of the folder again.
        bundle = {"classpath": "airflow.dag_processing.bundles.local.LocalDagBundle", "kwargs": {"path": str(tmp_path)}}
        bundles = json.dumps([{"name": "page", **bundle}])
        monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", bundles)
        dag = read_dag(block, tmp_path)
        run = run_in_process(dag, conf_for(dag, tmp_path))
        assert run.state == expected.state
        assert freddy.responses
        assert freddy.left_running == []
        assert [one.status for one in freddy.responses].count("cancelled") == expected.cancelled


def conf_for(dag: Any, folder: Path) -> dict[str, str]:
    """Return what a person would trigger the DAG with: a response that runs, or a file with the ids of two."""
    if "response_id" in dag.params:
        return {"response_id": FreddyHook().create_response("hello").id}
    if "path" in dag.params:
        ids = folder / "ids.txt"
        ids.write_text("".join(f"{FreddyHook().create_response('hello').id}\n" for _ in range(2)))
        return {"path": str(ids)}
    return {}
