"""One cell of the matrix: one task that waits for Freddy on a real Airflow, and what becomes of its response."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow_provider_freddy.testing import FakeFreddy
from airflow_provider_freddy.testing.journal import ResponseRecord
from demo.airflow_api import TaskInstance, WaitTimeoutError
from demo.local_airflow import LocalAirflow, TaskProcesses

#: Seconds up to which the deed is put off, so that repeats hit other moments.
RANDOM_DELAY = 1.0


class Cell:
    """
    A run of one of the DAGs.

    :param airflow: the Airflow.
    :param freddy: the fake beside it.
    :param style: how the author has written the task.
    :param folder: a folder that is the cell's own.
    """

    def __init__(self, airflow: LocalAirflow, freddy: FakeFreddy, style: str, folder: Path) -> None:
        self.airflow = airflow
        self.freddy = freddy
        self.style = style
        self.cue = folder / "cue"
        self.dag_id = ""
        self.run_id = ""

    @property
    def deferrable(self) -> bool:
        return self.style == "deferrable"

    def start(self, kind: str, **conf: object) -> None:
        self.dag_id = f"{self.style}_{kind}"
        self.airflow.wait_for_dag(self.dag_id)
        conf["cue"] = str(self.cue)
        if kind == "backfill":
            # Another day for each: a backfill of the same day is the same run.
            day = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=random.randrange(2000))
            self.run_id = self.airflow.backfill(self.dag_id, day, conf)
        else:
            self.run_id = self.airflow.trigger(self.dag_id, conf)

    # -- what runs -----------------------------------------------------------------------------------------

    def responses(self, try_number: int | None = None, task_id: str = "ask") -> list[ResponseRecord]:
        """Return what the run has started; of a mapped task, what its first index has."""
        return [
            response
            for response in self.freddy.responses
            if response.metadata.get("airflow_run_id") == self.run_id
            and response.metadata["airflow_task_id"] == task_id
            and response.metadata["airflow_map_index"] in {"-1", "0"}
            and try_number in {None, int(response.metadata["airflow_try_number"])}
        ]

    def siblings(self) -> list[ResponseRecord]:
        """Return what the other map index and the other task of a mapped run have started."""
        ours = {response.id for response in self.responses()}
        return [
            response
            for response in self.freddy.responses
            if response.metadata.get("airflow_run_id") == self.run_id and response.id not in ours
        ]

    def wait_for_response(self, try_number: int = 1, timeout: float = 90) -> ResponseRecord:
        self.wait_for(lambda: self.responses(try_number), timeout)
        return self.responses(try_number)[0]

    def response(self) -> ResponseRecord:
        """Return the response of the first try."""
        return self.responses(1)[0]

    def wait_until_it_waits(self) -> None:
        """Wait until the task has started its response, and waits for it where its style says."""
        self.wait_for_response()
        if self.deferrable:
            self.airflow.wait_for_task(self.dag_id, self.run_id, "ask", state="deferred", map_index=self.map_index)
            self.wait_for_look()
        elif self.style == "today":
            # There the task that waits is not the one that starts the response.
            self.wait_for_look()

    def wait_for_look(self, timeout: float = 60) -> None:
        """Wait until somebody looks at the response once more."""
        before = self._looks()
        self.wait_for(lambda: self._looks() > before, timeout)

    def _looks(self) -> int:
        response_id = self.response().id
        return sum(request.method == "GET" and request.response_id == response_id for request in self.freddy.requests)

    def wait_for(self, predicate: Callable[[], object], timeout: float) -> None:
        self.freddy.wait_for(predicate, timeout)

    def wait_for_record(self) -> None:
        """Wait until other processes can read what the task has started."""
        self.airflow._wait(
            "record",
            30,
            lambda: "freddy_responses" in self.airflow.xcoms(self.dag_id, self.run_id, "ask", self.map_index),
        )

    def dawdle(self) -> None:
        time.sleep(random.uniform(0, RANDOM_DELAY))

    # -- the task ------------------------------------------------------------------------------------------

    @property
    def map_index(self) -> int:
        return 0 if "_mapped" in self.dag_id else -1

    @property
    def task(self) -> TaskInstance:
        return self.airflow.task_instance(self.dag_id, self.run_id, "ask", self.map_index)

    @property
    def processes(self) -> TaskProcesses:
        return self.airflow.task_processes(self.dag_id, self.run_id, "ask", self.map_index)

    def mark(self, state: str) -> None:
        self.airflow.mark(self.dag_id, self.run_id, "ask", state, self.map_index)

    def clear(self) -> None:
        if self.style == "today":
            # There the response is another task's, which is what has to run again.
            self.airflow.clear(self.dag_id, self.run_id, "start", downstream=True)
        else:
            self.airflow.clear(self.dag_id, self.run_id, "ask", self.map_index)

    def wait_for_state(self, state: str, tries: int, timeout: float = 120) -> None:
        try:
            self.airflow.wait_for_task(
                self.dag_id,
                self.run_id,
                "ask",
                state=state,
                map_index=self.map_index,
                try_number=tries,
                timeout=timeout,
            )
        except WaitTimeoutError:
            for number in range(1, tries + 1):
                print(
                    f"Try {number}:\n{self.airflow.task_log(self.dag_id, self.run_id, 'ask', number, self.map_index)}"
                )
            raise

    def moment_of_start(self) -> float:
        start: datetime | None = self.task.start
        assert start is not None
        return start.timestamp()

    def triggerer(self) -> int:
        return self.airflow.triggerer_of(self.dag_id, self.run_id, "ask", self.map_index)
