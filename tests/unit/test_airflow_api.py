"""The client of Airflow's REST API that demo and live tests use."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from demo.airflow_api import AirflowApi, AirflowApiError

BUSY = (500, b'{"detail":{"reason":"Database error","message":"Serious error when handling your request."}}')
BROKEN = (500, b'{"detail":"Internal Server Error"}')
STARTED = (200, b'{"dag_run_id":"run 1"}')


class Server(ThreadingHTTPServer):
    answers: list[tuple[int, bytes]]
    tokens: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.answer(200, b'{"is_paused":false,"access_token":"for everybody"}')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.tokens.append(self.headers["Authorization"])
        self.answer(*self.server.answers.pop(0))

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        running.tokens = []
        thread = Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_request_that_a_busy_database_rolled_back_is_sent_again(server: Server) -> None:
    server.answers = [BUSY, BUSY, STARTED]
    assert AirflowApi(f"http://127.0.0.1:{server.server_port}").trigger("some_dag") == "run 1"


def test_a_server_that_insists_on_a_token_is_given_one(server: Server) -> None:
    server.answers = [(401, b'{"detail":"Not authenticated"}'), STARTED]
    assert AirflowApi(f"http://127.0.0.1:{server.server_port}").trigger("some_dag") == "run 1"
    assert server.tokens == [None, "Bearer for everybody"]


def test_any_other_error_is_raised_at_once(server: Server) -> None:
    server.answers = [BROKEN, STARTED]
    with pytest.raises(AirflowApiError, match="Internal Server Error"):
        AirflowApi(f"http://127.0.0.1:{server.server_port}").trigger("some_dag")
    assert len(server.answers) == 1
