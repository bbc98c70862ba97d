"""Who cancelled a response: read from the logs, where every hook says so in words of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path

from airflow_provider_freddy.testing import FakeFreddy
from demo.local_airflow import LocalAirflow
from tests.airflow_versions import AIRFLOW

#: What a log file's path tells about the process that wrote it, most telling first.
_PLACES = [
    (r"freddy-watchdog\.log$", "watchdog"),
    (r"attempt=\d+\.log\.trigger", "trigger"),
    (r"attempt=\d+\.log$", "task"),
    (r"dag_processor", "DAG processor"),
    (r"outputs/api-server", "API-server listener"),
    (r"triggerer", "triggerer"),
]

#: In what order to believe them: what is forwarded from one log into another stands in both.
_ORDER = [name for _, name in _PLACES]

ALARM = "MAY STILL RUN"

#: A frame of a traceback, as text or as a value in a line.
_FRAME = re.compile(r"""(File "|['"]filename['"]: ?['"])[^"']*/airflow_provider_freddy/""")
_LEFTOVER = re.compile(r"Unclosed c|never retrieved|was never awaited|Unable to decode message")

_TIME_IS_OVER = "The time for response"
#: Before 3.3 a trigger has no kill hook: its wait is cancelled.
_TRIGGER_TOLD = "trigger's on_kill" if AIRFLOW >= (3, 3) else "trigger, cancelled"


def who_cancelled(airflow: LocalAirflow, freddy: FakeFreddy, response_id: str, how_it_ended: str) -> str:
    """
    Name the mechanism, as far as a log tells.

    :param airflow: the Airflow, whose logs are read.
    :param freddy: the fake.
    :param response_id: the response.
    :param how_it_ended: what the task was told, which its process does not log: ``killed`` if a kill hook was called.
    :return: nothing if nobody has told.
    """
    for told in (f"{response_id} cancelled at", f"{response_id} had already ended ("):
        if by := _first_to_tell(airflow, freddy, response_id, how_it_ended, told):
            return by
    return ""


def _first_to_tell(airflow: LocalAirflow, freddy: FakeFreddy, response_id: str, how_it_ended: str, told: str) -> str:
    found: dict[str, list[str]] = {}
    files: dict[str, Path] = {}
    for file in airflow.logs_containing(told):
        place = next((name for pattern, name in _PLACES if re.search(pattern, file.as_posix())), None)
        if place is not None:
            found.setdefault(place, []).extend(line for line in _lines(file) if told in line)
            files[place] = file
    for place in _ORDER:
        if place in found:
            return _mechanism(place, found[place], files[place], _try_of(freddy, response_id), how_it_ended)
    return ""


def false_alarms(airflow: LocalAirflow, freddy: FakeFreddy, run_id: str) -> list[str]:
    """
    Return the lines in all logs that say of this run, or of nobody in particular, that something may still run.

    :param airflow: the Airflow, whose logs are read.
    :param freddy: the fake.
    :param run_id: the run.
    """
    others = [one.id for one in freddy.responses if one.metadata.get("airflow_run_id") != run_id]
    return [
        line
        for file in airflow.logs_containing(ALARM)
        for line in _lines(file)
        if ALARM in line and not any(response_id in line for response_id in others)
    ]


def complaints(airflow: LocalAirflow) -> list[str]:
    """Return what Airflow's own processes have written about errors inside the provider, or about its leftovers."""
    files = [file for name in ("api-server", "dag-processor") for file in airflow.outputs_of(name)]
    files += airflow.logs_folder.glob("dag_processor/**/*.log")
    # That one is broken on purpose.
    files += [file for file in airflow.logs_folder.rglob("*.log.trigger*") if "broken_trigger" not in str(file)]
    errors = [line for file in files for line in _raw_lines(file) if _FRAME.search(line)]
    everywhere = [line for file in [*files, *airflow.outputs_of("triggerer")] for line in _raw_lines(file)]
    return errors + [line for line in everywhere if _LEFTOVER.search(line)]


def _mechanism(place: str, lines: list[str], file: Path, try_number: int, how_it_ended: str) -> str:
    text = "\n".join(lines)
    if "Deadline of run" in text:
        return "deadline callback"
    if place == "trigger":
        if "The task ends before" in "\n".join(_lines(file)):
            return _TRIGGER_TOLD
        # Why it has ended its wait stands in its event, and in the error of the resumed task.
        whole = [log.read_text(errors="replace") for log in file.parent.glob(f"attempt={try_number}.log*")]
        return _by("\n".join(whole), [(_TIME_IS_OVER, "trigger's deadline")], "trigger, giving up")
    if place == "triggerer":
        # The log of its task was closed before.
        return _TRIGGER_TOLD
    if place == "DAG processor":
        return _by(text, [("Freddy callback for run ", "DAG callback")], "task callback in the DAG processor")
    if place != "task":
        return place
    if f"attempt={try_number}.log" not in file.name or "Left by an earlier try" in text:
        return "next try"
    steps = [
        ("baseline callback", "callback"),
        (_TIME_IS_OVER, "trigger's deadline"),
        ("The task ends before", "kill hook" if how_it_ended == "killed" else "task itself"),
        ("Freddy callback for", "callback in the task's process"),
    ]
    return _by(lines[0], steps, "task itself")


def _by(text: str, words: list[tuple[str, str]], otherwise: str) -> str:
    return next((name for said, name in words if said in text), otherwise)


def _try_of(freddy: FakeFreddy, response_id: str) -> int:
    return int(freddy.response(response_id).metadata["airflow_try_number"])


def _raw_lines(file: Path) -> list[str]:
    return file.read_text(errors="replace").splitlines()


def _lines(file: Path) -> list[str]:
    lines = []
    for line in _raw_lines(file):
        try:
            lines.append(str(json.loads(line).get("event", line)))
        except (ValueError, AttributeError):
            lines.append(line)
    return lines
