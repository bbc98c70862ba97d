"""A small typed client of Airflow's REST API (2, and 1 of Airflow 2), with waits for what happens in the background."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import requests
import tenacity

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

T = TypeVar("T")

POLL_SECONDS = 0.2
REQUEST_TIMEOUT = 90.0
PAGE_SIZE = 100
BUSY_DATABASE_SECONDS = 30.0
FINISHED_RUN_STATES = frozenset({"success", "failed"})


class AirflowApiError(RuntimeError):
    """Airflow answered a request with an error status."""

    def __init__(self, response: requests.Response) -> None:
        request = response.request
        super().__init__(f"{request.method} {request.url}: {response.status_code} {response.text[:2000]}")
        self.status_code = response.status_code
        # SQLite has one writer at a time. Airflow rolls back the request that came second and tells the user to try
        # again; nothing of it has happened.
        self.rolled_back = response.status_code == 500 and "Database error" in response.text


class WaitTimeoutError(TimeoutError):
    """What was waited for did not happen in time."""


class DagImportError(RuntimeError):
    """A DAG file cannot be imported."""


@dataclass(frozen=True)
class TaskInstance:
    """One task instance as Airflow's API shows it."""

    # The REST API of Airflow 2 does not tell it.
    id: str | None
    task_id: str
    map_index: int
    state: str | None
    try_number: int
    start: datetime | None
    end: datetime | None
    hostname: str | None
    pid: int | None
    # The user name that the triggerer which now holds the task's trigger runs under.
    triggerer: str | None

    @classmethod
    def from_json(cls, item: Mapping[str, Any]) -> TaskInstance:
        """Read the fields used here from a task instance of an API answer."""
        return cls(
            id=item.get("id"),
            task_id=item["task_id"],
            map_index=item["map_index"],
            state=item["state"],
            try_number=item["try_number"],
            start=_moment(item["start_date"]),
            end=_moment(item["end_date"]),
            hostname=item["hostname"],
            pid=item["pid"],
            triggerer=(item.get("triggerer_job") or {}).get("unixname"),
        )

    def __str__(self) -> str:
        """Return one line for messages: name, state and try."""
        index = f"[{self.map_index}]" if self.map_index >= 0 else ""
        return f"{self.task_id}{index}: {self.state} (try {self.try_number})"


class AirflowApi:
    """The operations on a running Airflow that a test or a demonstration needs."""

    def __init__(self, url: str, version: int = 2) -> None:
        self.url = url
        self._version = version
        self._http = requests.Session()
        # Proxy settings and credentials of the surrounding environment are not for a local server.
        self._http.trust_env = False

    # -- DAGs ----------------------------------------------------------------------------------------------

    def import_errors(self) -> dict[str, str]:
        """Return the traceback of every DAG file that cannot be imported, by file name."""
        return {error["filename"]: error["stack_trace"] for error in self._list("importErrors", "import_errors")}

    def wait_for_dag(self, dag_id: str, timeout: float = 60) -> None:
        """Wait until the DAG is parsed and stored; raise at once when a DAG file cannot be imported."""

        def parsed() -> bool | None:
            try:
                self._get(f"dags/{dag_id}")
            except AirflowApiError as error:
                if error.status_code != requests.codes.not_found:
                    raise
            else:
                return True
            if errors := self.import_errors():
                raise DagImportError("\n".join(f"{file}:\n{text}" for file, text in errors.items()))
            return None

        self._wait(f"DAG {dag_id}", timeout, parsed)

    def pause(self, dag_id: str) -> None:
        """Let the scheduler start no more tasks of the DAG."""
        self._request("PATCH", f"dags/{dag_id}", json={"is_paused": True})

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler start tasks of the DAG."""
        self._request("PATCH", f"dags/{dag_id}", json={"is_paused": False})

    # -- runs ----------------------------------------------------------------------------------------------

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run of the DAG, unpaused if needed, and return the id of the run."""
        if self._get(f"dags/{dag_id}")["is_paused"]:
            self.unpause(dag_id)
        body: dict[str, Any] = {"conf": dict(conf or {})}
        if self._version > 1:
            body["logical_date"] = None
        run_id: str = self._request("POST", f"dags/{dag_id}/dagRuns", json=body)["dag_run_id"]
        return run_id

    def backfill(self, dag_id: str, day: datetime, conf: Mapping[str, Any] | None = None) -> str:
        """Let a backfill run the DAG for one day (Airflow 3) and return the id of the run."""
        self.unpause(dag_id)
        # A DAG can have one at a time, and it takes Airflow half a minute to see that one is complete.
        self.cancel_backfills(dag_id)
        body = {
            "dag_id": dag_id,
            "from_date": day.isoformat(),
            "to_date": day.isoformat(),
            "reprocess_behavior": "completed",
            "max_active_runs": 1,
            "dag_run_conf": dict(conf or {}),
        }
        self._request("POST", "backfills", json=body)
        [run] = self._list(
            f"dags/{dag_id}/dagRuns", "dag_runs", logical_date_gte=day.isoformat(), logical_date_lte=day.isoformat()
        )
        run_id: str = run["dag_run_id"]
        return run_id

    def cancel_backfills(self, dag_id: str) -> None:
        """Let the DAG's backfills start no more runs; what runs goes on."""
        for backfill in self._list("backfills", "backfills", dag_id=dag_id):
            if backfill["completed_at"] is None:
                self._request("PUT", f"backfills/{backfill['id']}/cancel")

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of the run."""
        state: str = self._get(f"dags/{dag_id}/dagRuns/{run_id}")["state"]
        return state

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float = 120) -> str:
        """Wait until the run has ended and return its state, "success" or "failed"."""

        def ended() -> str | None:
            state = self.run_state(dag_id, run_id)
            return state if state in FINISHED_RUN_STATES else None

        return self._wait(f"end of run {dag_id}/{run_id}", timeout, ended, self._run_in_words(dag_id, run_id))

    def mark_run(self, dag_id: str, run_id: str, state: str) -> None:
        """Set the state of the run, as the buttons of the UI do ("success", "failed" or "queued")."""
        self._request("PATCH", f"dags/{dag_id}/dagRuns/{run_id}", json={"state": state})

    # -- task instances ------------------------------------------------------------------------------------

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        """Return every task instance of the run."""
        items = self._list(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances", "task_instances")
        return [TaskInstance.from_json(item) for item in items]

    def task_instance(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> TaskInstance:
        """Return one task instance; raise LookupError when the run has none such."""
        for instance in self.task_instances(dag_id, run_id):
            if (instance.task_id, instance.map_index) == (task_id, map_index):
                return instance
        raise LookupError(f"run {dag_id}/{run_id} has no task instance {task_id} with map index {map_index}")

    def wait_for_task(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        *,
        state: str | Collection[str],
        map_index: int = -1,
        try_number: int | None = None,
        timeout: float = 60,
    ) -> TaskInstance:
        """Wait until the task instance is in the state (or in one of them) and, if given, in that try."""
        wanted = {state} if isinstance(state, str) else set(state)

        def reached() -> TaskInstance | None:
            try:
                instance = self.task_instance(dag_id, run_id, task_id, map_index)
            except LookupError:
                return None  # A mapped task has no instances until its list is known.
            if instance.state in wanted and try_number in {None, instance.try_number}:
                return instance
            return None

        what = f"{task_id} {' or '.join(sorted(wanted))}" + (f" in try {try_number}" if try_number else "")
        return self._wait(what, timeout, reached, self._run_in_words(dag_id, run_id))

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str, map_index: int = -1) -> None:
        """Set the state of the task instance, as the UI does ("success", "failed" or "skipped")."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        if map_index >= 0:
            path += f"/{map_index}"
        body: dict[str, Any] = {"new_state": state}
        if self._version == 1:
            body["dry_run"] = False
        self._request("PATCH", path, json=body)

    def clear(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, *, downstream: bool = False) -> None:
        """Let the task run again, whatever its state; a running try is stopped by that."""
        body = {
            "dry_run": False,
            "only_failed": False,
            "dag_run_id": run_id,
            "task_ids": [task_id if map_index < 0 else [task_id, map_index]],
            "include_downstream": downstream,
        }
        self._request("POST", f"dags/{dag_id}/clearTaskInstances", json=body)

    def xcoms(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Return what the task instance pushed, by key."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries"
        entries = self._list(path, "xcom_entries", map_index=map_index)
        keys = [entry["key"] for entry in entries]
        return {key: self._get(f"{path}/{key}", map_index=map_index)["value"] for key in keys}

    def extra_links(self, dag_id: str, run_id: str, task_id: str) -> dict[str, str | None]:
        """Return the extra links on the page of the task instance, by name; without an address while it has none."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/links"
        links: dict[str, str | None] = self._get(path)["extra_links"]
        return links

    # -- the installation ----------------------------------------------------------------------------------

    def database_is_healthy(self) -> bool:
        """Tell whether the API server answers and reaches its database."""
        return bool(self._health()["metadatabase"]["status"] == "healthy")

    def _health(self) -> Any:
        return self._get("monitor/health" if self._version > 1 else "health")

    def add_connection(self, connection_id: str, fields: Mapping[str, Any]) -> None:
        """Store a connection in the metadata database, from its JSON form."""
        body = {**fields, "connection_id": connection_id, "extra": json.dumps(fields.get("extra", {}))}
        self._request("POST", "connections", json=body)

    def answers(self, path: str) -> bool:
        """Tell whether the API server answers a request for the path, which need not be of this API."""
        return self._http.get(f"{self.url}/{path}", timeout=REQUEST_TIMEOUT).ok

    def running_jobs(self, job_type: str, since: datetime) -> int:
        """
        Count the running jobs of the type ("SchedulerJob", ...) that started since the moment.

        Version 1 of the API only tells when one of them was last heard of: it counts one at most.
        """
        if self._version == 1:
            name = job_type.removesuffix("Job").lower()
            heard_of = _moment(self._health()[name][f"latest_{name}_heartbeat"])
            return int(heard_of is not None and heard_of >= since)
        params = {"job_type": job_type, "job_state": "running", "start_date_gte": since.isoformat()}
        return len(self._list("jobs", "jobs", **params))

    # -- requests and waits --------------------------------------------------------------------------------

    def while_waiting(self) -> None:
        """Run between two looks of every wait; a subclass may raise here to end a hopeless wait."""

    def close(self) -> None:
        """Close the connections to the API server."""
        self._http.close()

    @tenacity.retry(
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, AirflowApiError) and error.rolled_back),
        wait=tenacity.wait_random(0.1, 0.5),
        stop=tenacity.stop_after_delay(BUSY_DATABASE_SECONDS),
        reraise=True,
    )
    def _request(self, method: str, path: str, **kwargs: Any) -> Any:
        url = f"{self.url}/api/v{self._version}/{path}"
        response = self._http.request(method, url, timeout=REQUEST_TIMEOUT, **kwargs)
        if response.status_code == requests.codes.unauthorized:
            # Airflow 3.1 gives everybody a token, but insists on it.
            token = self._http.get(f"{self.url}/auth/token", timeout=REQUEST_TIMEOUT).json()["access_token"]
            self._http.headers["Authorization"] = f"Bearer {token}"
            response = self._http.request(method, url, timeout=REQUEST_TIMEOUT, **kwargs)
        if not response.ok:
            raise AirflowApiError(response)
        return response.json()

    def _get(self, path: str, **params: Any) -> Any:
        return self._request("GET", path, params=params)

    def _list(self, path: str, key: str, **params: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        while True:
            page = self._get(path, limit=PAGE_SIZE, offset=len(items), **params)[key]
            items += page
            if len(page) < PAGE_SIZE:
                return items

    def _wait(
        self,
        what: str,
        timeout: float,
        probe: Callable[[], T | None],
        details: Callable[[], str] = lambda: "",
    ) -> T:
        """Return the first answer of the probe; an API server that is away for a moment is waited for too."""
        deadline = time.monotonic() + timeout
        trouble = ""
        while time.monotonic() < deadline:
            self.while_waiting()
            try:
                if answer := probe():
                    return answer
                trouble = ""
            except (requests.ConnectionError, requests.Timeout, AirflowApiError) as error:
                if isinstance(error, AirflowApiError) and error.status_code < requests.codes.server_error:
                    raise
                trouble = f"\nlast answer: {error}"
            time.sleep(POLL_SECONDS)
        known = trouble or details()
        raise WaitTimeoutError(f"still waiting for {what} after {timeout} seconds{known}")

    def _run_in_words(self, dag_id: str, run_id: str) -> Callable[[], str]:
        def words() -> str:
            lines = [f"run: {self.run_state(dag_id, run_id)}"]
            lines += [str(instance) for instance in self.task_instances(dag_id, run_id)]
            return "".join(f"\n  {line}" for line in lines)

        return words


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
