"""Whose time runs."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.wait import give_way
from worker.trials.time_limits import TimeLimits


def test_waiting_for_others_takes_no_time_of_ones_own() -> None:
    """An engine that answers two at once, 0.05 s each, and a limit that the last of twenty would never keep."""
    ended: list[int] = []

    async def go(limits: TimeLimits, engine: asyncio.Semaphore, number: int) -> None:
        async with limits.limit(0.2), engine:
            await give_way(0.05)
        ended.append(number)

    async def all_go() -> None:
        limits, engine = TimeLimits(), asyncio.Semaphore(2)
        await asyncio.gather(*(go(limits, engine, number) for number in range(20)))

    asyncio.run(all_go())
    assert sorted(ended) == list(range(20))


def test_what_is_stuck_is_ended_and_what_is_beside_it_is_not() -> None:
    async def stuck(limits: TimeLimits, *, seconds: float | None) -> str:
        try:
            async with limits.limit(0.1):
                await give_way(3600 if seconds is None else seconds)
        except TimeoutError:
            return "ended"
        return "answered"

    async def all_go() -> list[str]:
        limits = TimeLimits()
        return await asyncio.gather(*(stuck(limits, seconds=seconds) for seconds in (None, 0.15, None, 0.01)))

    assert asyncio.run(all_go()) == ["ended", "answered", "ended", "answered"]


def test_without_a_limit_nothing_is_ended_and_nobody_behind_it_either() -> None:
    async def go(limits: TimeLimits, limit: float | None, seconds: float) -> None:
        async with limits.limit(limit):
            await give_way(seconds)

    async def all_go() -> None:
        limits = TimeLimits()
        await asyncio.gather(go(limits, None, 0.2), go(limits, 0.05, 0.15))

    asyncio.run(all_go())


def test_a_timeout_of_its_own_is_not_the_limits() -> None:
    async def all_go() -> None:
        async with TimeLimits().limit(60) as limit:
            assert not limit.expired()
            raise TimeoutError

    with pytest.raises(TimeoutError):
        asyncio.run(all_go())
