"""What speaks against an item, and what does not."""

from __future__ import annotations

import pytest

from worker.trials.lanes import Company
from worker.trials.suspicion import Suspicion


@pytest.mark.parametrize(
    ("deliveries", "company", "too_often"),
    [
        (1, Company.MANY, False),
        (2, Company.MANY, False),
        (3, Company.FEW, False),
        (4, Company.NONE, False),
        (5, Company.NONE, False),
        (6, Company.NONE, True),
    ],
)
def test_deliveries_first_isolate_and_then_end_an_item(deliveries: int, company: Company, too_often: bool) -> None:
    suspicion = Suspicion(deliveries)
    assert (suspicion.company, suspicion.delivered_too_often) == (company, too_often)


def died(answered: list[int]) -> Suspicion:
    """After deaths of the engine, each with the answers that were given by then."""
    suspicion = Suspicion(1)
    for count in answered:
        assert not suspicion.proven
        suspicion.engine_died("it died", answered=count, alone=suspicion.company is not Company.MANY)
    return suspicion


def test_a_death_in_a_trial_of_several_proves_nothing_and_the_next_trial_is_alone() -> None:
    suspicion = died([10, 20])
    for answered in (30, 40, 50):
        assert not suspicion.proven
        suspicion.engine_died("it died", answered=answered, alone=False)
        assert suspicion.company is Company.NONE
    assert not suspicion.proven


def test_deaths_among_others_prove_nothing() -> None:
    assert not died([10, 20]).proven
    assert died([10, 20]).company is Company.FEW


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
