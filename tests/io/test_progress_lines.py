"""Progress as plain lines: a line each half minute, with the time left."""

from __future__ import annotations

import pytest

from melder.io.progress_lines import ProgressLines, duration


class Clock:
    """A time that moves when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines() -> list[str]:
    return []


def count(lines: list[str], clock: Clock, moments: list[tuple[float, int]], total: int) -> None:
    """Advance by so many after so many seconds, again and again."""
    advance = ProgressLines(lines.append, 30, clock)("training", total)
    for seconds, done in moments:
        clock.now += seconds
        advance(done)


def test_a_line_comes_each_half_minute_and_says_what_is_left(lines: list[str], clock: Clock) -> None:
    count(lines, clock, [(0, 0), *[(10, 10)] * 10], 200)
    assert lines == [
        "training: 30 of 200, 2 min 50 s left",
        "training: 60 of 200, 2 min 20 s left",
        "training: 90 of 200, 1 min 50 s left",
    ]


def test_what_is_soon_over_says_nothing(lines: list[str], clock: Clock) -> None:
    count(lines, clock, [(0, 0), (14, 50), (15, 50)], 100)
    assert lines == []


def test_the_last_advance_says_nothing_as_what_comes_next_does(lines: list[str], clock: Clock) -> None:
    count(lines, clock, [(0, 0), (40, 50), (40, 50)], 100)
    assert lines == ["training: 50 of 100, 40 s left"]


def test_what_was_done_before_does_not_count_as_speed(lines: list[str], clock: Clock) -> None:
    count(lines, clock, [(0, 9_000), (40, 100)], 10_000)
    assert lines == ["training: 9,100 of 10,000, 6 min 0 s left"]


def test_without_a_first_advance_at_the_start_the_time_left_comes_with_the_second_line(
    lines: list[str], clock: Clock
) -> None:
    count(lines, clock, [(60, 10), (60, 10)], 30)
    assert lines == ["training: 10 of 30", "training: 20 of 30, 1 min 0 s left"]


def test_each_count_has_its_own_time(lines: list[str], clock: Clock) -> None:
    start = ProgressLines(lines.append, 30, clock)
    first, second = start("drawing", 100), start("training", 100)
    clock.now += 31
    first(10)
    second(20)
    clock.now += 5
    first(10)
    assert lines == ["drawing: 10 of 100", "training: 20 of 100"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (7500, "2 h 5 min")],
)
def test_times_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
