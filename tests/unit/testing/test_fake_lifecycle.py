from __future__ import annotations

import math

import pytest

from airflow_provider_freddy.testing.lifecycle import Life, Plan

LIFE = Life(Plan(duration=10, queued_for=5), created_at=100)


@pytest.mark.parametrize(
    ("now", "status", "started_at", "ended_at", "ran", "percentage"),
    [
        (100, "queued", None, None, 0, 0),
        (104.9, "queued", None, None, 0, 0),
        (105, "processing", 105, None, 0, 0),
        (109, "processing", 105, None, 4, 40),
        (115, "completed", 105, 115, 10, 100),
        (500, "completed", 105, 115, 10, 100),
    ],
)
def test_a_life_follows_the_clock(now, status, started_at, ended_at, ran, percentage):
    assert LIFE.status(now) == status
    assert LIFE.started_at(now) == started_at
    assert LIFE.ended_at(now) == ended_at
    assert LIFE.ran_seconds(now) == ran
    assert LIFE.percentage(now) == percentage


def test_a_cancel_ends_it_there():
    life = LIFE.cancelled(107)
    assert life.status(300) == "cancelled"
    assert life.ended_at(300) == 107
    assert life.ran_seconds(300) == 2


def test_a_response_that_never_ends():
    life = Life(Plan(duration=math.inf), created_at=0)
    assert life.status(1e9) == "processing"
    assert life.percentage(1e9) == 0


def test_a_response_without_duration_ends_at_once():
    life = Life(Plan(duration=0, queued_for=1, outcome="failed"), created_at=0)
    assert (life.status(0), life.percentage(0)) == ("queued", 0)
    assert (life.status(1), life.percentage(1)) == ("failed", 100)


def test_a_revision_keeps_what_it_does_not_name():
    assert Plan(duration=3).revised(queued_for="1.5") == Plan(duration=3, queued_for=1.5)
    assert Plan().revised(outcome="failed").outcome == "failed"


@pytest.mark.parametrize(
    "wishes",
    [
        {"duration": -1},
        {"duration": math.nan},
        {"queued_for": -1},
        {"outcome": "cancelled"},
        {"duration": "soon"},
        {"duration": []},
    ],
)
def test_a_plan_that_makes_no_sense(wishes):
    with pytest.raises(ValueError, match=r"duration|outcome|seconds|convert"):
        Plan().revised(**wishes)
