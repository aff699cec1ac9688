"""Waiting for a run."""

from __future__ import annotations

import logging

import pytest

from persqa.errors import StoreUnavailable
from persqa.progress import Progress
from persqa.results import Status
from producer.progress import wait_for


def test_a_database_that_is_away_is_waited_for_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    done = Progress(submitted=1, ended={status: int(status is Status.OK) for status in Status})
    answers = iter([StoreUnavailable("the database is away"), done])
    seen: list[Progress] = []

    def progress() -> Progress:
        if isinstance(answer := next(answers), StoreUnavailable):
            raise answer
        return answer

    with caplog.at_level(logging.WARNING):
        found = wait_for(progress, name="r", check=lambda: None, timeout_seconds=10, display=seen.append)
    assert (found, seen) == (done, [done])
    assert "the database is away" in caplog.text


def test_waiting_for_a_database_ends_in_time() -> None:
    def progress() -> Progress:
        raise StoreUnavailable("the database is away")

    with pytest.raises(TimeoutError, match="unknown"):
        wait_for(progress, name="r", check=lambda: None, timeout_seconds=0.01, display=lambda _: None)
