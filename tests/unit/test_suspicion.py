"""What speaks against an item, and what does not."""

from __future__ import annotations

import pytest

from worker.suspicion import Suspicion


@pytest.mark.parametrize(
    ("deliveries", "alone", "too_often"),
    [(1, False, False), (2, False, False), (3, True, False), (5, True, False), (6, True, True)],
)
def test_deliveries_first_isolate_and_then_end_an_item(deliveries: int, alone: bool, too_often: bool) -> None:
    suspicion = Suspicion(deliveries)
    assert (suspicion.alone, suspicion.delivered_too_often) == (alone, too_often)


def died(answered: list[int]) -> Suspicion:
    """After deaths of the engine, each with the answers that were given by then."""
    suspicion = Suspicion(1)
    for count in answered:
        assert not suspicion.proven
        suspicion.engine_died("it died", answered=count)
    return suspicion


def test_deaths_among_others_prove_nothing() -> None:
    assert not died([10, 20]).proven
    assert died([10, 20]).alone


def test_two_deaths_alone_with_answers_in_between_prove_it() -> None:
    assert not died([10, 20, 30]).proven
    suspicion = died([10, 20, 30, 40])
    assert suspicion.proven
    assert suspicion.story.count("(alone)") == 2
    assert suspicion.story.count("(among others)") == 2


def test_an_engine_that_answers_nobody_proves_nothing() -> None:
    assert not died([0] * 10).proven


def test_when_no_others_are_left_it_takes_one_death_more() -> None:
    assert not died([10, 20, 30, 30]).proven
    assert died([10, 20, 30, 30, 30]).proven
