"""How a worker waits for a database that does not answer."""

from __future__ import annotations

import threading

import pytest

from persqa.errors import StoreUnavailable
from worker.process.condition import CONDITION
from worker.process.retries import retry_database


class Clock(threading.Event):
    """An event that nobody sets; waiting for it takes no time, and is noted."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0)
        return False


def test_after_a_long_outage_a_worker_is_back_within_seconds() -> None:
    """It may have begun to wait right before the database came back; its GPU has nothing to do meanwhile."""
    clock = Clock()

    def away_for_an_hour() -> str:
        if sum(clock.waits) < 3600:
            raise StoreUnavailable("no route to host")
        return "here"

    assert retry_database(away_for_an_hour, stop=clock) == "here"
    assert max(clock.waits) <= 5


def test_what_is_waited_for_is_to_be_seen_meanwhile() -> None:
    seen: list[list[str]] = []

    def away_twice() -> None:
        seen.append([found.sentence for found in CONDITION.hindrances])
        if len(seen) < 3:
            raise StoreUnavailable("disk full")

    retry_database(away_twice, stop=Clock())
    assert seen == [[], *[["disk full; nothing is lost, trying again"]] * 2]
    assert CONDITION.hindrances == ()


def test_a_worker_that_stops_waits_for_no_database() -> None:
    stop = threading.Event()
    stop.set()

    def away() -> None:
        raise StoreUnavailable("no route to host")

    with pytest.raises(StoreUnavailable):
        retry_database(away, stop=stop)
