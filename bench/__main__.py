"""Run the benchmarks: ``python -m bench [names...]``; prints one table and writes ``bench/RESULTS.md``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path

from bench.options import Options
from bench.report import Row, circumstances, document, table, write

MEASUREMENTS = (
    "import_cost",
    "schedule_sim",
    "bulk_cancel",
    "callback_cost",
    "watchdog_cost",
    "end_to_end",
    "wait_scale",
    "real_triggerer",
    "error_storm",
)
RESULTS = Path(__file__).parent / "RESULTS.md"


def main(arguments: list[str] | None = None) -> int:
    """
    Measure, print and write.

    :param arguments: of the command line.
    :return: the exit status.
    """
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(MEASUREMENTS)}; all by default")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side (5)")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that everything works")
    parser.add_argument("--plain-python", default=sys.executable, help="an interpreter without the peers")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the file to write")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.names) - set(MEASUREMENTS):
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    if chosen.rounds < 1:
        parser.error("at least one round")
    # Not resolved: a link is what tells a virtual environment from the interpreter it was made with.
    options = Options(chosen.rounds, chosen.quick, os.path.abspath(chosen.plain_python))
    around = circumstances()
    rows: list[Row] = []
    missing: list[str] = []
    notes: list[str] = []
    names = chosen.names or MEASUREMENTS
    for index, name in enumerate(names, 1):
        start = time.monotonic()
        print(f"{name} ...", file=sys.stderr, flush=True)
        module = import_module(f"bench.{name}")
        try:
            found: list[Row] = module.measure(options)
        except Exception as error:
            # One part that cannot be measured must not cost the others, which have taken minutes.
            traceback.print_exc()
            missing.append(f"{name}: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
            continue
        print(f"{name}: {time.monotonic() - start:.0f} s\n{table(found)}", file=sys.stderr, flush=True)
        rows += found
        notes.append(f"**{module.TITLE}** (`bench/{name}.py`). {_description(module.__doc__)}")
        # A run that is broken off keeps what it has measured.
        not_yet = [f"{later}: the run was broken off" for later in names[index:]]
        write(chosen.output, document(rows, [*missing, *not_yet], notes, around))
    write(chosen.output, document(rows, missing, notes, around))
    print(table(rows))
    for line in missing:
        print(f"not measured: {line}")
    return 1 if missing else 0


def _description(text: str | None) -> str:
    return " ".join((text or "").split())


if __name__ == "__main__":
    # By default it ends Python at once, and the processes of the measurement under way would be left behind.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sys.exit(main())
