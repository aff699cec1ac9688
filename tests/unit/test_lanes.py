"""Together, or on trial: who gets in when."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from tests.support.wait import give_way
from worker.trials.lanes import Company, Lanes

MANY, FEW, NONE = Company.MANY, Company.FEW, Company.NONE


class Died(Exception):
    """What an engine that died under an item raises."""


@given(st.lists(st.sampled_from(list(Company)), max_size=40), st.integers(0, 2**32))
def test_nobody_meets_whom_he_should_not_and_everybody_gets_a_turn(wishes: list[Company], seed: int) -> None:
    chance = random.Random(seed)
    inside: list[Company] = []
    ended: list[Company] = []

    async def go(lanes: Lanes, company: Company) -> None:
        for _ in range(chance.randrange(3)):
            await give_way()
        async with lanes.lane(company) as alone:
            inside.append(company)
            for _ in range(chance.randrange(4)):
                assert len(set(inside)) == 1
                assert len(inside) == 1 or not (alone or company is NONE)
                await give_way()
            inside.remove(company)
        ended.append(company)

    async def all_go() -> None:
        lanes = Lanes()
        await asyncio.wait_for(asyncio.gather(*(go(lanes, company) for company in wishes)), 5)

    asyncio.run(all_go())
    assert sorted(ended, key=str) == sorted(wishes, key=str)


def trials(deadly: set[int], suspects: int) -> list[list[int]]:
    """Who was tried with whom; a trial that has one of the deadly ones in it ends with an exception for all."""
    found: list[list[int]] = []
    inside: set[int] = set()

    async def go(lanes: Lanes, name: int) -> None:
        with suppress(Died):
            async with lanes.lane(FEW):
                if not inside:
                    found.append([])
                inside.add(name)
                found[-1].append(name)
                await give_way(0.01)
                inside.remove(name)
                if set(found[-1]) & deadly:
                    raise Died

    async def all_go() -> None:
        lanes = Lanes()
        await asyncio.wait_for(asyncio.gather(*(go(lanes, name) for name in range(suspects))), 5)

    asyncio.run(all_go())
    return found


def test_trials_grow_while_all_come_through() -> None:
    assert [len(trial) for trial in trials(set(), 40)] == [1, 2, 4, 8, 16, 9]


def test_trials_have_a_largest() -> None:
    assert [len(trial) for trial in trials(set(), 140)] == [1, 2, 4, 8, 16, 32, 32, 32, 13]


def test_after_a_death_trials_begin_again_with_one() -> None:
    assert [len(trial) for trial in trials({5}, 20)] == [1, 2, 4, 1, 2, 4, 6]


def test_who_comes_again_to_be_alone_lets_the_others_go_first() -> None:
    order: list[str] = []

    async def go(lanes: Lanes, name: str, company: Company) -> None:
        async with lanes.lane(company):
            order.append(name)
            for _ in range(3):
                await give_way()

    async def poison(lanes: Lanes) -> None:
        for turn in range(3):
            await go(lanes, f"alone {turn}", NONE)

    async def all_go() -> None:
        lanes = Lanes()
        first = asyncio.create_task(poison(lanes))
        await give_way()
        await asyncio.gather(first, go(lanes, "a", MANY), go(lanes, "b", MANY))

    asyncio.run(all_go())
    assert order == ["alone 0", "a", "b", "alone 1", "alone 2"]


def test_who_gives_up_waiting_is_waited_for_no_longer() -> None:
    async def all_go() -> None:
        lanes = Lanes()
        async with lanes.lane(NONE):
            waiting = asyncio.create_task(_pass(lanes, MANY))
            other = asyncio.create_task(_pass(lanes, NONE))
            await give_way()
        waiting.cancel()
        await asyncio.wait_for(other, 1)

    asyncio.run(all_go())


def test_of_those_on_trial_the_least_suspect_goes_first() -> None:
    order: list[int] = []

    async def go(lanes: Lanes, rank: int) -> None:
        async with lanes.lane(NONE, rank=rank):
            order.append(rank)
            await give_way()

    async def all_go() -> None:
        lanes = Lanes()
        async with lanes.lane(MANY):
            waiting = [asyncio.create_task(go(lanes, rank)) for rank in (5, 3, 4, 3)]
            await give_way()
        await asyncio.gather(*waiting)

    asyncio.run(all_go())
    assert order == [3, 3, 4, 5]


async def _pass(lanes: Lanes, company: Company) -> None:
    async with lanes.lane(company):
        pass
