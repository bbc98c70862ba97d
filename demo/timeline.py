"""What happened in a run of the quickstart, read from the logs of its two tasks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from demo.local_airflow import LocalAirflow

# What the log lines of the provider and of Airflow look like: pattern, task, what to tell.
_CREATED = re.compile(r"Freddy POST .* response (?P<id>\S+) is ")
_FAILED = re.compile(r"Task failed with exception")
_CANCELLED = re.compile(r"Freddy DELETE .* response (?P<id>\S+) is cancelled, .* (?P<ms>\d+) ms")
_SEEN = re.compile(r"Freddy GET .* response (?P<id>\S+) is cancelled")


@dataclass(frozen=True)
class Event:
    """One thing that happened."""

    seconds: float
    text: str


@dataclass(frozen=True)
class Timeline:
    """All that happened, and what should have happened but did not."""

    run_id: str
    events: list[Event]
    missing: list[str]
    response_ids: list[str]

    @property
    def complete(self) -> bool:
        return not self.missing


def read_timeline(airflow: LocalAirflow, dag_id: str, run_id: str) -> Timeline:
    """Return what the logs of the quickstart's tasks tell."""
    ask = list(_lines(airflow.task_log_raw(dag_id, run_id, "ask")))
    confirm = list(_lines(airflow.task_log_raw(dag_id, run_id, "confirm")))
    found: list[tuple[float, str]] = []
    missing: list[str] = []
    response_ids: list[str] = []

    def look(lines: list[tuple[float, str]], pattern: re.Pattern[str], text: str) -> tuple[float, re.Match[str]] | None:
        for moment, line in lines:
            if match := pattern.search(line):
                found.append((moment, text.format(**match.groupdict())))
                return moment, match
        missing.append(text.split("{")[0].strip())
        return None

    if created := look(ask, _CREATED, "response created by task 'ask': {id}"):
        response_ids.append(created[1]["id"])
    look(ask, _FAILED, "task 'ask' failed while the response was running")
    if cancelled := look(ask, _CANCELLED, "response cancelled, Freddy confirmed it after {ms} ms"):
        found.append((cancelled[0] - int(cancelled[1]["ms"]) / 1000, "cancel sent by the on_failure_callback"))
    look(confirm, _SEEN, "sensor 'confirm' saw that it is cancelled")
    start = created[0] if created else 0.0
    events = [Event(moment - start, text) for moment, text in sorted(found, key=lambda item: item[0])]
    return Timeline(run_id, events, missing, response_ids)


def _lines(raw: str) -> Iterator[tuple[float, str]]:
    """Yield time and text of the lines of a task log, which Airflow writes as JSON."""
    for line in raw.splitlines():
        try:
            entry = json.loads(line)
            yield datetime.fromisoformat(entry["timestamp"]).timestamp(), str(entry["event"])
        except (ValueError, KeyError, TypeError):
            continue
