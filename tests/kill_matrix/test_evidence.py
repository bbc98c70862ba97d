"""What the cells look for in the logs is found there, in every form that Airflow writes it in."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from demo.airflow_logs import LogFiles

from .evidence import complaints, false_alarms

TRIGGER_LOG = "logs/dag_id=d/run_id=r/task_id=t/attempt=1.log.trigger.1.log"


@pytest.fixture
def airflow(tmp_path: Path) -> LogFiles:
    logs = LogFiles()
    logs.home = tmp_path
    (tmp_path / "logs").mkdir()
    (tmp_path / "outputs").mkdir()
    return logs


def write(airflow: LogFiles, name: str, line: str) -> None:
    file = airflow.home / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"all is well\n{line}\n")


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("outputs/api-server-0.txt", '  File "/x/airflow_provider_freddy/listener.py", line 1, in f'),
        (
            "logs/dag_processor/d.py.log",
            '{"error_detail":[{"frames":[{"filename":"/x/airflow_provider_freddy/a.py"}]}]}',
        ),
        ("outputs/dag-processor-0.txt", "error_detail=[{'frames': [{'filename': '/x/airflow_provider_freddy/a.py'}]}]"),
        (TRIGGER_LOG, '{"error_detail":[{"frames":[{"filename": "/x/airflow_provider_freddy/triggers/freddy.py"}]}]}'),
        ("outputs/triggerer-0.txt", "Unclosed client session"),
        ("outputs/api-server-0.txt", "Unable to decode message"),
    ],
)
def test_an_error_inside_the_provider_is_found(airflow: LogFiles, file: str, line: str) -> None:
    assert complaints(airflow) == []
    write(airflow, file, line)
    assert set(complaints(airflow)) == {line}


def test_what_breaks_on_purpose_is_not(airflow: LogFiles) -> None:
    broken = TRIGGER_LOG.replace("dag_id=d/", "dag_id=deferrable_broken_trigger/")
    write(airflow, broken, '  File "/x/airflow_provider_freddy/triggers/freddy.py", line 1, in f')
    assert complaints(airflow) == []


@pytest.mark.parametrize(("words", "found"), [("resp_mine", 1), ("what it has started", 1), ("resp_other", 0)])
def test_an_alarm_is_found_unless_it_is_anothers(airflow: LogFiles, words: str, found: int) -> None:
    responses = [SimpleNamespace(id=f"resp_{run}", metadata={"airflow_run_id": run}) for run in ("mine", "other")]
    write(airflow, TRIGGER_LOG, f'{{"event": "{words} MAY STILL RUN AND COST MONEY."}}')
    assert len(false_alarms(airflow, SimpleNamespace(responses=responses), "mine")) == found
