"""Together, or alone: who gets in when."""

from __future__ import annotations

import asyncio
import random

from hypothesis import given
from hypothesis import strategies as st

from worker.lanes import Lanes


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 2**32))
def test_whoever_is_alone_is_alone_and_everybody_gets_a_turn(wishes: list[bool], seed: int) -> None:
    chance = random.Random(seed)
    inside: list[bool] = []
    ended: list[bool] = []

    async def go(lanes: Lanes, alone: bool) -> None:
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)
        async with lanes.lane(alone=alone):
            inside.append(alone)
            for _ in range(chance.randrange(4)):
                assert inside == [True] or not any(inside)
                await asyncio.sleep(0)
            inside.remove(alone)
        ended.append(alone)

    async def all_go() -> None:
        lanes = Lanes()
        await asyncio.wait_for(asyncio.gather(*(go(lanes, alone) for alone in wishes)), 5)

    asyncio.run(all_go())
    assert sorted(ended) == sorted(wishes)


def test_who_comes_again_to_be_alone_lets_the_others_go_first() -> None:
    order: list[str] = []

    async def go(lanes: Lanes, name: str, alone: bool) -> None:
        async with lanes.lane(alone=alone):
            order.append(name)
            for _ in range(3):
                await asyncio.sleep(0)

    async def poison(lanes: Lanes) -> None:
        for turn in range(3):
            await go(lanes, f"alone {turn}", alone=True)

    async def all_go() -> None:
        lanes = Lanes()
        first = asyncio.create_task(poison(lanes))
        await asyncio.sleep(0)
        await asyncio.gather(first, go(lanes, "a", alone=False), go(lanes, "b", alone=False))

    asyncio.run(all_go())
    assert order == ["alone 0", "a", "b", "alone 1", "alone 2"]


def test_who_gives_up_waiting_is_waited_for_no_longer() -> None:
    async def all_go() -> None:
        lanes = Lanes()
        async with lanes.lane(alone=True):
            waiting = asyncio.create_task(_pass(lanes, alone=False))
            other = asyncio.create_task(_pass(lanes, alone=True))
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait_for(other, 1)

    asyncio.run(all_go())


def test_of_those_alone_the_least_suspect_goes_first() -> None:
    order: list[int] = []

    async def go(lanes: Lanes, rank: int) -> None:
        async with lanes.lane(alone=True, rank=rank):
            order.append(rank)
            await asyncio.sleep(0)

    async def all_go() -> None:
        lanes = Lanes()
        async with lanes.lane(alone=False):
            waiting = [asyncio.create_task(go(lanes, rank)) for rank in (5, 3, 4, 3)]
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)

    asyncio.run(all_go())
    assert order == [3, 3, 4, 5]


async def _pass(lanes: Lanes, *, alone: bool) -> None:
    async with lanes.lane(alone=alone):
        pass
