"""The benchmarks stay runnable. Nothing here depends on how fast anything is."""

from __future__ import annotations

import http.client
import json
from pathlib import Path

import pytest

from bench import __main__ as command
from bench import import_cost, schedule_sim, wait_scale
from bench.bulk_cancel import FLOOR, sample
from bench.child import ChildError, call
from bench.options import Options
from bench.report import Goal, Row, document, number, ratio, summary, table
from bench.stub import HOST
from bench.stub_process import ORGANIZATION, Stub


@pytest.fixture(scope="module")
def stub():
    with Stub() as running:
        yield running


def ask(stub: Stub, method: str, path: str, body: dict | None = None) -> tuple[int, dict]:
    connection = http.client.HTTPConnection(HOST, stub.port, timeout=10)
    try:
        connection.request(method, path, body=json.dumps(body) if body else None)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()


def path_of(response_id: str) -> str:
    return f"/v1/model/response/{response_id}?organizationId={ORGANIZATION}"


def test_the_stub_runs_a_response_until_it_is_cancelled(stub: Stub) -> None:
    _, created = ask(stub, "POST", "/v1/model/response", {"model": "run", "inputs": []})
    response_id = created["id"]
    assert ask(stub, "GET", path_of(response_id))[1]["status"] == "processing"
    assert ask(stub, "DELETE", path_of(response_id))[1]["status"] == "cancelled"
    assert ask(stub, "DELETE", path_of(response_id))[0] == 409
    assert ask(stub, "GET", path_of(response_id))[1]["status"] == "cancelled"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (path_of("s429-1"), 429),
        (path_of("s401-1"), 401),
        ("/sensor/run-waiting", 404),
        ("/sensor/dur-0-1", 200),
        ("/api/2.2/jobs/runs/get", 200),
    ],
)
def test_the_stub_answers_as_the_path_says(stub: Stub, path: str, status: int) -> None:
    assert ask(stub, "GET", path)[0] == status


def test_the_stub_counts_what_comes_in_but_not_who_asks(stub: Stub) -> None:
    stub.reset()
    for _ in range(3):
        ask(stub, "GET", path_of("run-counted"))
    ask(stub, "DELETE", path_of("run-counted"))
    assert stub.looked_at() == 1
    stats = stub.stats()
    assert stats["methods"] == {"GET": 3, "DELETE": 1}
    assert (stats["accepted"], stats["open"], len(stats["gaps"])) == (4, 0, 2)
    assert list(stats["deleted"]) == ["run-counted"]


def test_the_watchdog_is_measured_at_work() -> None:
    found = call("bench.watchdog_cost:sample")
    assert set(found["memory"]) == {"Python", "Python with requests", "watchdog"}
    assert found["deleted"] > 0


def test_the_stub_ends_when_it_is_left() -> None:
    with Stub() as running:
        process = running._process
    assert process.returncode is not None


def test_the_stub_speaks_tls_with_a_certificate_that_the_environment_trusts(tmp_path: Path) -> None:
    with Stub(certificates=tmp_path) as running:
        found = sample(FLOOR, 5, running)
    assert found["done"] == found["requests"] == 5


def test_numbers_ratios_and_samples_in_words() -> None:
    assert [number(value) for value in (0, 0.00412, 1.5, 12.345, 12345)] == ["0", "0.00412", "1.50", "12.3", "12,345"]
    assert [ratio(value) for value in (0, 0.02, 0.8, 2)] == ["0", "1/50", "0.8 x", "2 x"]
    assert summary([3, 1, 2]) == "2.00 (1.00 to 3.00)"
    assert summary([2]) == "2.00"


def test_a_goal_counts_the_rounds_in_which_it_holds() -> None:
    row = Row("calls", [1, 1, 3], {"peer": [10, 10, 10]}, [Goal(at_most=0.2, of="peer"), Goal(at_least=1)])
    assert row.cells() == (
        "calls", "peer 10.0", "1.00 (1.00 to 3.00)", "1/10", "<= 1/5 of peer and >= 1", "mostly (2 of 3)",
    )  # fmt: skip


def test_a_goal_against_a_peer_that_is_missing_is_no_goal() -> None:
    row = Row("calls", [1], {}, [Goal(at_most=0.2, of="peer")])
    assert row.cells()[-2:] == ("", "")


def test_the_document_says_what_was_not_measured() -> None:
    text = document([Row("calls", [1])], ["openai: not installed"], ["**Calls**. Counted."], "Somewhere.")
    assert table([Row("calls", [1])]) in text
    assert "- openai: not installed" in text


def test_percentiles_and_the_greatest_rush() -> None:
    assert wait_scale.percentile([1.0, 2.0, 3.0, 4.0], 50) == pytest.approx(3.0)
    assert wait_scale.percentile([], 99) == pytest.approx(0.0)
    assert wait_scale.rush([0.0, 1.0, 1.1, 1.2, 9.0], 2.0) == pytest.approx(2.0)


def test_a_fixed_interval_is_late_by_half_of_it() -> None:
    lengths = schedule_sim.durations(20.0, 1.0, 500, 1)
    delay, looks = schedule_sim.watch_fixed(10.0, lengths)
    assert 4 < delay < 6.5
    assert 2 < looks < 10


def test_the_schedules_are_compared_on_every_mix() -> None:
    rows = schedule_sim.measure(Options(rounds=1, quick=True))
    assert len(rows) == 4 * len(schedule_sim.MIXES)


def test_what_a_dag_file_imports_is_found_and_measured_in_a_fresh_process() -> None:
    assert "airflow_provider_freddy.operators.freddy" in import_cost.dag_facing()
    found = call("bench.import_cost:cost", ["bench.floor_package.operators"])
    assert found["modules"] == found["http"] == 0


def test_a_child_that_fails_says_why() -> None:
    with pytest.raises(ChildError, match="ZeroDivisionError"):
        call("operator:truediv", 1, 0)


def test_the_command_writes_the_file_and_reports_what_it_could_not_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: Options) -> list[Row]:
        raise RuntimeError("no such peer")

    monkeypatch.setattr(import_cost, "measure", broken)
    output = tmp_path / "results.md"
    assert command.main(["schedule_sim", "import_cost", "--quick", "--rounds", "1", "--output", str(output)]) == 1
    assert "ADAPTIVE, median 20 s, sigma 1.0: mean delay, s" in output.read_text()
    assert "not measured: import_cost: no such peer" in capsys.readouterr().out


def test_every_measurement_says_what_it_is() -> None:
    for name in command.MEASUREMENTS:
        text = (Path(command.__file__).parent / f"{name}.py").read_text()
        assert "\nTITLE = " in text
        assert "\ndef measure(options: Options) -> list[Row]:" in text
