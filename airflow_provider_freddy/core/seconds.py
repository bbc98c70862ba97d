"""Checking durations that users give."""

from __future__ import annotations

import math
from typing import Any


def check_seconds(value: Any, what: str) -> float:
    """
    Return a duration when it can be one.

    :param value: seconds.
    :param what: the name of the thing for the error message.
    :raises ValueError: if it is no positive finite number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"The {what} must be a positive number of seconds, not {value!r}.")
    return float(value)
