"""What the caller of the benchmarks can choose."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """
    The size of a run.

    :param rounds: how many turns each side gets.
    :param quick: whether to leave out what takes minutes, to see that everything works.
    :param plain_python: an interpreter with the provider and without the peers, whose plugins change every process.
    """

    rounds: int = 5
    quick: bool = False
    plain_python: str = sys.executable
