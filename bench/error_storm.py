"""
What triggers do to an API that answers with an error to everybody.

100 triggers that are to poll every 5 s, so 20 polls/s while all is well; counted from their start, over the 5 s with
the most requests. A trigger that gives up and hands the error to its task is no storm.
"""

from __future__ import annotations

from bench.options import Options
from bench.report import Goal, Row
from bench.wait_scale import OURS, PERIOD, sample

TITLE = "An API that answers with errors"
PEER = "http sensor"
STATUSES = (429, 401, 500)


def measure(options: Options) -> list[Row]:
    """
    Let the http sensor, of which most write their polling, and ours run into every status.

    :param options: rounds, and whether few triggers will do.
    """
    from bench.waiting import available

    count = 20 if options.quick else 100
    window = 2.0
    rows = []
    for status in STATUSES:
        samples: dict[str, list[float]] = {}
        for _ in range(options.rounds):
            for case in available([OURS, PEER]):
                samples.setdefault(case, []).append(sample(case, count, f"s{status}", window)["rush"])
        mine = samples.pop(OURS)
        what = f"requests/s to an API that answers {status}, {count / PERIOD:.0f} asked"
        rows.append(Row(what, mine, samples, [Goal(at_most=count / PERIOD)]))
    return rows
