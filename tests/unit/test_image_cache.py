"""What items hold of images: loaded once, within the budget, and nobody waits for ever, whatever fails."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persqa.errors import Rejected
from persqa.reasons import Reason
from tests.support.images_in_hand import Bench, named
from tests.support.wait import give_way
from worker.images.budget import Budget

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


def run(use: Callable[[Bench], Coroutine[Any, Any, None]], most_bytes: int = 1000) -> None:
    async def main() -> None:
        bench = Bench(Budget(most_bytes))
        await use(bench)
        await bench.finish()
        await bench.settle()
        bench.check()
        # Nothing is left but what is kept for the next items.
        assert bench.budget.used <= 20

    asyncio.run(main())


Plan: TypeAlias = list[tuple[str, int, list[str]]]
_REFERENCES = st.lists(st.sampled_from(["2:a", "2:b", "5:a", "9:a", "9:b", "30:a", "90:a"]), min_size=1, max_size=4)
_ACTIONS = ["begin", "begin", "step", "step", "step", "fail", "refuse", "end", "end", "cancel"]
_PLANS: st.SearchStrategy[Plan] = st.lists(
    st.tuples(st.sampled_from(_ACTIONS), st.integers(0, 99), _REFERENCES), max_size=60
)


_ERRORS = {"fail": OSError("no more"), "refuse": Rejected(Reason.NOT_FOUND, "no such file")}


async def follow(bench: Bench, plan: Plan) -> None:
    for action, number, references in plan:
        if action == "begin":
            bench.begin(*references)
        elif action in {"step", *_ERRORS} and (steps := [one for one in bench.steps if not one.done()]):
            step = steps[number % len(steps)]
            step.set_exception(_ERRORS[action]) if action in _ERRORS else step.set_result(None)
        elif action == "end" and (holding := [task for task in bench.items if task in bench.holding]):
            bench.items[holding[number % len(holding)]].set()
        elif action == "cancel" and (unfinished := bench.unfinished()):
            bench.cancelled.add(unfinished[number % len(unfinished)])
            unfinished[number % len(unfinished)].cancel()
        # Mostly several things happen before anybody has heard of the first.
        for _ in range({0: 1, 1: 12}.get(number % 6, 0)):
            await give_way()
        bench.check()


@settings(max_examples=400)
@given(plan=_PLANS, most_bytes=st.sampled_from([1, 8, 40, 100, 400]))
def test_whatever_happens_all_items_end_and_all_memory_comes_back(plan: Plan, most_bytes: int) -> None:
    run(lambda bench: follow(bench, plan), most_bytes)


def test_an_image_is_loaded_once_for_all_that_want_it() -> None:
    async def use(bench: Bench) -> None:
        bench.begin("2:a", "2:a")
        bench.begin("2:a")
        await bench.finish()
        bench.begin("2:a")
        await bench.settle()
        assert bench.loaded == ["2:a"]
        async with bench.cache.hold([named("2:a")]) as (first,), bench.cache.hold([named("2:a")]) as (second,):
            assert first is second

    run(use)


def test_a_recheck_is_another_image() -> None:
    async def use(bench: Bench) -> None:
        async def both() -> None:
            async with bench.cache.hold([named("2:a"), named("2:a", recheck=True)]) as (first, second):
                assert first is not second

        bench.items[asyncio.create_task(both())] = asyncio.Event()
        await bench.finish()
        assert bench.loaded == ["2:a", "2:a"]

    run(use)


def test_what_was_refused_is_not_kept() -> None:
    async def use(bench: Bench) -> None:
        for _ in range(2):
            item = bench.begin("2:a")
            await bench.settle()
            bench.steps[0].set_exception(Rejected(Reason.NOT_FOUND, "no such file"))
            with pytest.raises(Rejected):
                await item
        assert bench.loaded == ["2:a", "2:a"]

    run(use)


def test_the_oldest_make_room() -> None:
    async def use(bench: Bench) -> None:
        for reference in ("9:a", "9:b", "9:a", "9:c", "9:a", "9:b"):
            bench.begin(reference)
            await bench.finish()
        assert bench.loaded == ["9:a", "9:b", "9:c", "9:b"]

    run(use)


def test_one_fails_while_another_is_kept() -> None:
    async def use(bench: Bench) -> None:
        first, second = bench.begin("2:a"), bench.begin("90:b")
        await bench.settle()
        bench.steps[1].set_result(None)
        await bench.settle()
        bench.cancelled.add(second)
        second.cancel()
        await bench.settle()
        # The good one is too large to be kept, and makes room before anybody has heard of the other's end.
        bench.steps[1].set_result(None)
        bench.steps[0].set_exception(ValueError("broken"))
        with pytest.raises(ValueError, match="broken"):
            await first

    run(use)


def test_an_item_that_joins_a_load_lends_it_its_place() -> None:
    """The oldest item waits for an image that a younger one has begun to load, and that finds no room."""

    async def use(bench: Bench) -> None:
        bench.begin("2:a", "30:a")
        await bench.settle()
        bench.begin("20:held")
        bench.begin("30:a")
        await bench.settle()
        for step in list(bench.steps[1:]):
            step.set_result(None)
        await bench.settle()
        assert bench.decoding == {"20:held": 40}
        bench.steps[-1].set_result(None)
        await bench.settle()
        assert bench.decoding == {}
        assert len(bench.holding) == 1
        # Its own first image at last; then it comes to the second.
        for _ in range(2):
            bench.steps[0].set_result(None)
            await bench.settle()
        assert bench.decoding == {"30:a": 60}

    run(use, most_bytes=100)


def test_what_is_larger_than_the_budget_is_decoded_alone() -> None:
    async def use(bench: Bench) -> None:
        items = [bench.begin(reference) for reference in ("90:a", "90:b", "2:c", "90:d")]
        at_once: list[list[str]] = []
        while bench.unfinished():
            await bench.settle()
            at_once.append(sorted(bench.decoding))
            if bench.steps:
                bench.steps[0].set_result(None)
            else:
                for answered in bench.items.values():
                    answered.set()
        assert all(item.done() for item in items)
        assert max(map(len, at_once)) == 1

    run(use, most_bytes=50)


def test_nobody_is_served_ahead_of_an_older_item() -> None:
    async def use(bench: Bench) -> None:
        bench.begin("40:a")
        await bench.settle()
        for _ in range(2):
            bench.steps[0].set_result(None)
            await bench.settle()
        bench.begin("30:b")
        await bench.settle()
        bench.steps[0].set_result(None)
        await bench.settle()
        # There is room for a small one, but a larger one waits for it longer.
        bench.begin("2:c")
        await bench.settle()
        assert bench.steps == []

    run(use, most_bytes=100)


def test_who_gives_up_waiting_lets_others_go_on() -> None:
    async def use(bench: Bench) -> None:
        bench.begin("40:a")
        await bench.settle()
        for _ in range(2):
            bench.steps[0].set_result(None)
            await bench.settle()
        waiting = bench.begin("30:b")
        await bench.settle()
        bench.steps[0].set_result(None)
        await bench.settle()
        bench.begin("2:c")
        bench.cancelled.add(waiting)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        await bench.settle()
        assert len(bench.steps) == 1
        # The image that nobody waits for is given up, and loaded anew for whoever wants it later.
        bench.begin("30:b")
        await bench.finish()
        assert bench.loaded == ["40:a", "30:b", "2:c", "30:b"]

    run(use, most_bytes=100)
