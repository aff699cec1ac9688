"""What a worker says of itself, minute by minute."""

from __future__ import annotations

import json
import logging

import pytest

from persqa.logs import format_logs
from persqa.results import Status
from persqa.settings import LogFormat
from worker.process import metrics
from worker.process.minutes import IDLE_SECONDS, MINUTE, Doing, Minutes


class Day:
    """A worker whose clock goes second by second."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, logger="worker.process.minutes")
        self.doing = Doing(in_flight=0)
        self.queued: int | None = 40
        self._minutes = Minutes(lambda: self.doing, queued=lambda: self.queued)
        self._caplog = caplog
        self._now = 1000.0

    def goes_on(self, seconds: float, *, ends: int = 0) -> list[str]:
        """Let so many seconds pass, with so many items ended in each; returns what was said."""
        self._caplog.clear()
        for _ in range(int(seconds)):
            self._now += 1
            metrics.ITEMS.labels(Status.OK).inc(ends)
            self._minutes.look(self._now)
        return self._caplog.messages


@pytest.fixture
def day(caplog: pytest.LogCaptureFixture) -> Day:
    """It has just begun."""
    made = Day(caplog)
    made.goes_on(1)
    return made


def test_an_idle_worker_says_nothing(day: Day) -> None:
    assert day.goes_on(10 * MINUTE) == []


def test_a_worker_at_work_says_a_line_a_minute(day: Day) -> None:
    day.doing = Doing(in_flight=8)
    assert day.goes_on(MINUTE - 1, ends=20) == []
    (line, _) = day.goes_on(2 * MINUTE, ends=20)
    assert line == "1200 items ended in the last 60 s, 20.0 a second (1200 ok); 8 in flight; 40 waiting in the queue"


def test_a_worker_that_becomes_idle_says_so_once(day: Day) -> None:
    day.doing = Doing(in_flight=8)
    day.goes_on(100, ends=20)
    day.doing = Doing(in_flight=0)
    (line,) = day.goes_on(10 * MINUTE)
    assert line == "idle after 2000 items in 100 s"
    day.doing = Doing(in_flight=1)
    day.goes_on(1, ends=1)
    day.doing = Doing(in_flight=0)
    assert day.goes_on(IDLE_SECONDS) == ["idle after 1 item in 1 s"]


def test_items_that_come_one_by_one_are_no_line_each(day: Day) -> None:
    said: list[str] = []
    for _ in range(60):
        # It is quicker than the look.
        said += day.goes_on(1, ends=1) + day.goes_on(9)
    assert 5 <= len(said) <= 11
    assert sum(int(line.split()[2]) for line in said if line.startswith("idle")) in range(50, 61)


def test_trouble_is_told_as_long_as_it_lasts_and_loudly(day: Day, caplog: pytest.LogCaptureFixture) -> None:
    day.doing = Doing(in_flight=8, trouble=["the database does not answer"])
    day.queued = None
    (line, _) = day.goes_on(2 * MINUTE + 1)
    assert line == "0 items ended in the last 60 s; 8 in flight; the database does not answer"
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    day.doing = Doing(in_flight=0)
    assert day.goes_on(2 * MINUTE) == [], "nothing was done, and nothing is to be told"


def test_programs_read_the_same_as_fields(day: Day, caplog: pytest.LogCaptureFixture) -> None:
    handler = logging.Handler()
    format_logs([handler], LogFormat.JSON)
    day.doing = Doing(in_flight=8)
    day.goes_on(MINUTE + 1, ends=20)
    found = json.loads(handler.format(caplog.records[0]))
    told = {
        name: found[name] for name in ("items", "items_ok", "items_dead", "items_per_second", "in_flight", "queued")
    }
    assert told == {
        "items": 1200, "items_ok": 1200, "items_dead": 0, "items_per_second": 20.0, "in_flight": 8, "queued": 40
    }  # fmt: skip
    assert found["trouble"] == []
