"""
`make demo`: a task fails on a real Airflow, and the model response that it had started is cancelled.

Without an account it runs against the fake Freddy; with FREDDY_API_KEY and FREDDY_ORGANIZATION_ID it uses the real
API. It ends with an error if a response is left running.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from airflow_provider_freddy.testing import FakeFreddy
from demo.local_airflow import LocalAirflow
from demo.timeline import Timeline, read_timeline

DAG_ID = "freddy_quickstart"
DAGS = Path(__file__).parent.parent / "example_dags"
RUN_SECONDS = 120


@dataclass(frozen=True)
class Service:
    """The Freddy that the demo talks to."""

    title: str
    connection: str
    fake: FakeFreddy | None


@contextmanager
def freddy() -> Generator[Service]:
    """Use the real API if the environment has a key for it, else start the fake."""
    key, organization = os.environ.get("FREDDY_API_KEY"), os.environ.get("FREDDY_ORGANIZATION_ID")
    if key and organization:
        connection = {"conn_type": "freddy", "password": key, "extra": {"organization_id": organization}}
        if base_url := os.environ.get("FREDDY_BASE_URL"):
            connection["host"] = base_url
        yield Service("the real Freddy API", json.dumps(connection), None)
        return
    with FakeFreddy(duration=600) as fake:
        yield Service(f"a fake Freddy at {fake.url} (no account needed)", fake.connection_json(), fake)


def main() -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep-running", action="store_true", help="keep Airflow running until Ctrl-C")
    arguments = parser.parse_args()
    begin = time.monotonic()

    def tell(line: str) -> None:
        print(f"  {time.monotonic() - begin:5.1f} s  {line}", flush=True)

    print("Starting a real Airflow and Freddy ...", flush=True)
    with freddy() as service:
        tell(f"Freddy: {service.title}")
        environ = {"AIRFLOW_CONN_FREDDY_DEFAULT": service.connection}
        with LocalAirflow(DAGS, env=environ, on_progress=tell) as airflow:
            timeline = run_quickstart(airflow, tell)
            left_running = count_left_running(service, timeline)
            show(timeline, left_running, airflow.url)
            if arguments.keep_running:
                wait_for_interrupt(airflow.url)
    print("All stopped.", flush=True)
    return 0 if timeline.complete and left_running == 0 else 1


def run_quickstart(airflow: LocalAirflow, tell: Callable[[str], None]) -> Timeline:
    """Run the DAG and read from the task logs what happened."""
    airflow.wait_for_dag(DAG_ID)
    run_id = airflow.trigger(DAG_ID)
    tell(f"started {DAG_ID}: its task will start a response and then fail")
    state = airflow.wait_for_run(DAG_ID, run_id, RUN_SECONDS)
    tell(f"the run has ended: {state}")
    return read_timeline(airflow, DAG_ID, run_id)


def count_left_running(service: Service, timeline: Timeline) -> int:
    """Ask Freddy itself, not Airflow, what still runs."""
    if service.fake is not None:
        return service.fake.running_count
    from airflow_provider_freddy.hooks.freddy import FreddyHook

    os.environ["AIRFLOW_CONN_FREDDY_DEFAULT"] = service.connection
    hook = FreddyHook()
    return sum(not hook.get_response(response_id).is_final for response_id in timeline.response_ids)


def show(timeline: Timeline, left_running: int, url: str) -> None:
    """Print what happened, when, and what it comes to."""
    print("\nWhat happened, in seconds after the response was created:\n")
    for event in timeline.events:
        print(f"  {event.seconds:7.3f} s  {event.text}")
    if not timeline.complete:
        print(f"\n  Missing: {', '.join(timeline.missing)}")
    print(f"\nModel responses left running: {left_running}")
    print(f"In the UI: {url}/dags/{DAG_ID}/runs/{quote(timeline.run_id)}")
    print("           The log of 'ask' ends, under 'Post Execute', with what became of the response.")
    print("           (make demo ARGS=--keep-running keeps it open)\n", flush=True)


def wait_for_interrupt(url: str) -> None:
    """Leave everything running until the user has seen enough."""
    print(f"Airflow keeps running at {url}, no login needed. Ctrl-C stops it.", flush=True)
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    sys.exit(main())
