"""Ladders and seeds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from persqa.items import MAX_ITEMS, index_of, item_id
from persqa.policies import Policy, Rung, generation_seed
from persqa.runs import RunId


def test_the_ladders_are_those_of_the_design() -> None:
    assert Policy.CHECK.rungs == (Rung.FREE,)
    assert Policy.REPAIR.rungs == (Rung.FREE, Rung.RESEED, Rung.PREFILL)
    assert Policy.PREFILL.rungs == (Rung.PREFILL,)


def test_only_a_prefilled_answer_is_forced() -> None:
    assert [rung for rung in Rung if rung.forced] == [Rung.PREFILL]


@given(seed=st.integers(0, 2**63 - 1), index=st.integers(0, MAX_ITEMS - 1), requeues=st.integers(0, 5))
def test_every_rung_and_every_requeue_draws_afresh_and_repeatably(seed: int, index: int, requeues: int) -> None:
    def seed_of(rung: Rung, requeues: int) -> int:
        return generation_seed(seed, index=index, rung=rung, requeues=requeues)

    seeds = {seed_of(rung, requeues) for rung in Rung} | {seed_of(Rung.FREE, requeues + 1)}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert seed_of(Rung.FREE, requeues) == seed_of(Rung.FREE, requeues)


@given(run=st.integers(1, 2**29), index=st.integers(0, MAX_ITEMS - 1))
def test_items_of_two_runs_have_the_seeds_of_their_places(run: int, index: int) -> None:
    assert index_of(item_id(RunId(run), index)) == index
