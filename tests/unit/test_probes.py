"""Questions to services that may never answer."""

from __future__ import annotations

import threading
import time

import pytest

from persqa.probes import Probe
from tests.support.wait import wait_until


def answers(probe: Probe[None]) -> bool:
    try:
        probe.answer()
    except TimeoutError:
        return False
    return True


def test_what_never_answers_keeps_nobody_long_and_is_asked_once() -> None:
    asked: list[int] = []
    end = threading.Event()

    def hang() -> None:
        asked.append(1)
        end.wait()

    probe = Probe(hang, name="persqa-test", limit_seconds=0.2, fresh_seconds=0.0)
    started = time.monotonic()
    for _ in range(20):
        with pytest.raises(TimeoutError, match="no answer for"):
            probe.answer()
    # The first one waits for the limit, the others come when it has passed.
    assert 0.2 <= time.monotonic() - started < 1
    assert len(asked) == 1
    end.set()
    wait_until(lambda: answers(probe), describe="it answers")


def test_an_answer_is_good_for_a_moment_and_then_asked_for_anew() -> None:
    answers = iter(range(100))
    kept = Probe(lambda: next(answers), name="persqa-test", limit_seconds=5, fresh_seconds=60)
    assert [kept.answer() for _ in range(3)] == [0, 0, 0]
    fresh = Probe(lambda: next(answers), name="persqa-test", limit_seconds=5, fresh_seconds=0)
    assert [fresh.answer() for _ in range(3)] == [1, 2, 3]


def test_an_error_is_an_answer_too_even_one_about_time() -> None:
    def fail() -> None:
        raise TimeoutError("of its own")

    probe = Probe(fail, name="persqa-test", limit_seconds=5, fresh_seconds=60)
    for _ in range(2):
        with pytest.raises(TimeoutError, match="of its own"):
            probe.answer()
