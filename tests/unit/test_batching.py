"""Batches."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest

from tests.support.wait import give_way
from worker.process.batching import Batcher


def run_all(batcher: Batcher[int, int], elements: Sequence[int]) -> list[int | BaseException]:
    async def submit_all() -> list[int | BaseException]:
        return await asyncio.gather(*(batcher.submit(element) for element in elements), return_exceptions=True)

    try:
        return asyncio.run(submit_all())
    finally:
        batcher.close()


def test_each_caller_gets_its_own_answer_and_batches_are_full() -> None:
    batches: list[list[int]] = []

    def flush(elements: Sequence[int]) -> list[int]:
        batches.append(list(elements))
        return [element * 2 for element in elements]

    batcher: Batcher[int, int] = Batcher(flush, name="persqa-test", size=10, seconds=0.05)
    assert run_all(batcher, range(25)) == [element * 2 for element in range(25)]
    assert [len(batch) for batch in batches] == [10, 10, 5]
    assert [element for batch in batches for element in batch] == list(range(25))


def test_a_lonely_element_does_not_wait_for_others() -> None:
    batcher: Batcher[int, int] = Batcher(list, name="persqa-test", size=1000, seconds=0.01)
    assert run_all(batcher, [7]) == [7]


@pytest.mark.parametrize(("elements", "in_flight"), [(1, 1), (3, 3), (2, 3)])
def test_nobody_waits_for_long_where_few_others_are(elements: int, in_flight: int) -> None:
    batches: list[int] = []

    def flush(some: Sequence[int]) -> list[int]:
        batches.append(len(some))
        return list(some)

    batcher: Batcher[int, int] = Batcher(flush, name="persqa-test", size=1000, seconds=30, in_flight=lambda: in_flight)
    started = time.monotonic()
    assert run_all(batcher, range(elements)) == list(range(elements))
    assert batches == [elements]
    assert time.monotonic() - started < 10


def test_a_failure_reaches_every_caller_of_its_batch_and_no_other() -> None:
    def flush(elements: Sequence[int]) -> list[int]:
        if 3 in elements:
            raise ValueError("three")
        return list(elements)

    batcher: Batcher[int, int] = Batcher(flush, name="persqa-test", size=2, seconds=0.01)
    answers = run_all(batcher, [1, 2, 3, 4, 5])
    assert [answer if isinstance(answer, int) else str(answer) for answer in answers] == [1, 2, "three", "three", 5]


def test_one_batch_at_a_time_in_a_thread_of_its_own() -> None:
    threads: set[str] = set()
    running = 0

    def flush(elements: Sequence[int]) -> list[int]:
        nonlocal running
        running += 1
        assert running == 1
        threads.add(threading.current_thread().name)
        running -= 1
        return list(elements)

    batcher: Batcher[int, int] = Batcher(flush, name="persqa-test", size=3, seconds=0.01)
    run_all(batcher, range(100))
    assert threads == {"persqa-test_0"}


def test_a_caller_that_gives_up_does_not_disturb_the_batch() -> None:
    async def main() -> int:
        batcher: Batcher[int, int] = Batcher(list, name="persqa-test", size=2, seconds=1)
        first = asyncio.create_task(batcher.submit(1))
        await give_way()
        first.cancel()
        try:
            return await batcher.submit(2)
        finally:
            batcher.close()

    assert asyncio.run(main()) == 2


@pytest.mark.parametrize("count", [1, 5])
def test_close_is_enough_to_end_the_thread(count: int) -> None:
    batcher: Batcher[int, int] = Batcher(list, name="persqa-test", size=2, seconds=0.01)
    run_all(batcher, range(count))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("persqa-test")]
