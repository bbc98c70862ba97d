"""Samples, goals, and the one table that a run of the benchmarks ends with."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import psutil  # type: ignore[import-untyped]

COLUMNS = ("what", "peers", "ours", "ratio", "goal", "reached")
PACKAGES = (
    "apache-airflow",
    "apache-airflow-providers-http",
    "apache-airflow-providers-databricks",
    "apache-airflow-providers-dbt-cloud",
    "apache-airflow-providers-airbyte",
    "apache-airflow-providers-openai",
    "aiohttp",
    "requests",
)


def number(value: float) -> str:
    """
    Write a number with three digits that mean something.

    :param value: the number.
    """
    if value == 0:
        return "0"
    for limit, digits in ((100, 0), (10, 1), (1, 2)):
        if abs(value) >= limit:
            return f"{value:,.{digits}f}"
    return f"{value:.3g}"


def ratio(value: float) -> str:
    """
    Write a ratio: 0.02 as 1/50, 2.0 as 2 x.

    :param value: ours by theirs.
    """
    if value <= 0:
        return "0"
    return f"1/{1 / value:,.3g}" if value < 0.5 else f"{value:,.3g} x"


def summary(samples: Sequence[float]) -> str:
    """
    Write median and range.

    :param samples: one value a round.
    """
    middle = number(statistics.median(samples))
    low, high = number(min(samples)), number(max(samples))
    return middle if low == high else f"{middle} ({low} to {high})"


@dataclass(frozen=True)
class Goal:
    """
    What is to be reached, by a value or in relation to a peer.

    :param at_most: the value, or the ratio if there is a peer, that ours must not exceed.
    :param at_least: the one that ours must reach.
    :param of: the peer.
    """

    at_most: float | None = None
    at_least: float | None = None
    of: str | None = None

    def __str__(self) -> str:
        """Return it in words."""
        limit = self.at_most if self.at_most is not None else self.at_least
        assert limit is not None
        sign = "<=" if self.at_most is not None else ">="
        return f"{sign} {ratio(limit)} of {self.of}" if self.of else f"{sign} {limit:,g}"

    def holds(self, ours: float, peers: Mapping[str, float]) -> bool:
        """
        Tell whether one round reaches it.

        :param ours: our value in that round.
        :param peers: the peers' values in the same round.
        """
        scale = peers[self.of] if self.of else 1.0
        if self.at_most is not None and ours > self.at_most * scale:
            return False
        return self.at_least is None or ours >= self.at_least * scale


@dataclass(frozen=True)
class Row:
    """
    One line of the table.

    :param what: what was measured, with its unit.
    :param ours: one value a round.
    :param peers: the same of each peer, by name.
    :param goals: what is to be reached; nothing for a row that is only there to be seen.
    """

    what: str
    ours: Sequence[float]
    peers: Mapping[str, Sequence[float]] = field(default_factory=dict)
    goals: Sequence[Goal] = ()

    def known_goals(self) -> list[Goal]:
        """Return the goals whose peer was measured."""
        return [goal for goal in self.goals if goal.of is None or goal.of in self.peers]

    def reached(self) -> str:
        """Say in how many rounds every goal was reached; a ratio is one of values of the same round."""
        goals = self.known_goals()
        if not goals:
            return ""
        held = 0
        for index, ours in enumerate(self.ours):
            peers = {name: values[min(index, len(values) - 1)] for name, values in self.peers.items()}
            held += all(goal.holds(ours, peers) for goal in goals)
        verdict = "yes" if held == len(self.ours) else "mostly" if held > len(self.ours) / 2 else "no"
        return f"{verdict} ({held} of {len(self.ours)})"

    def ratios(self) -> str:
        """Return ours by each peer's, medians."""
        ours = statistics.median(self.ours)
        against = {name: statistics.median(values) for name, values in self.peers.items()}
        return "; ".join(ratio(ours / theirs) if theirs else "-" for theirs in against.values())

    def cells(self) -> tuple[str, ...]:
        """Return the cells of its line."""
        peers = "; ".join(f"{name} {summary(values)}" for name, values in self.peers.items())
        goals = " and ".join(str(goal) for goal in self.known_goals())
        return (self.what, peers, summary(self.ours), self.ratios(), goals, self.reached())


def table(rows: Iterable[Row]) -> str:
    """
    Return the rows as a Markdown table.

    :param rows: what was measured.
    """
    lines = [COLUMNS, tuple("---" for _ in COLUMNS), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def circumstances() -> str:
    """Return what the figures depend on: machine, versions, and what else was going on."""
    versions = []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{name} not installed")
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.system()} {platform.machine()}, {psutil.cpu_count()} CPUs, "
        f"{memory:.0f} GiB, load {psutil.getloadavg()[0]:.1f} at the start, Python {platform.python_version()}, "
        f"{', '.join(versions)}."
    )


def document(rows: Sequence[Row], missing: Sequence[str], notes: Sequence[str], around: str) -> str:
    """
    Return the text of ``RESULTS.md``.

    :param rows: what was measured.
    :param missing: what was not, and why.
    :param notes: how each part was measured.
    :param around: the circumstances.
    """
    parts = [
        "# Results of `make bench`\n",
        f"{around}\n",
        "Median (range) over the rounds; ours and the peers' turns alternate. A goal is reached when it holds in every "
        "round. Everything runs on one machine over 127.0.0.1, so only figures of one run can be compared.\n",
        table(rows),
    ]
    if missing:
        parts += ["Not measured in this run:\n", "\n".join(f"- {line}" for line in missing) + "\n"]
    if notes:
        parts += ["## How\n", "\n\n".join(notes) + "\n"]
    return "\n".join(parts)


def write(path: Path, text: str) -> None:
    """
    Write a file anew.

    :param path: the file.
    :param text: what it shall hold.
    """
    path.write_text(text, encoding="utf-8")
