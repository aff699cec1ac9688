"""Queues of open runs, which take turns with each other and with the queue beside them, on Valkey and on Redis."""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from persqa.broker.connection import connect
from persqa.broker.depth import Depth, Inspector
from persqa.broker.keys import PUSHED, QUEUE, aside, places_for, places_of, queue_for, queue_of, turns_of
from persqa.broker.leases import Claimed, Leases
from persqa.broker.publisher import Publisher
from persqa.broker.pushes import Pushes
from persqa.broker.withdrawal import Withdrawal
from persqa.errors import BrokerFull
from persqa.runs import Priority, RunId
from producer import Client
from tests.integration.test_worker import quiet
from tests.support.builders import LEDGER, a_run, an_item
from tests.support.queues import held, many_records
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess, scripted
from worker.leases.claiming import Consumer
from worker.leases.keeper import LeaseKeeper

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from persqa.runs import Run
    from tests.conftest import Site
    from tests.support.clocks import Clocks

OTHER = "fedcba9876543210"


class Turns:
    """A worker, and producers of several runs; run 0 is a data set, and all others are open."""

    def __init__(self, url: str, stack: ExitStack, ledger: str = LEDGER) -> None:
        self.url, self.ledger = url, ledger
        self.redis = stack.enter_context(closing(connect(url)))
        self.publisher = stack.enter_context(closing(Publisher(url, ledger=ledger, queue_bound=10**6)))
        self.leases = stack.enter_context(closing(Leases(url, worker=f"w:{ledger}", seconds=30)))
        self.inspector = stack.enter_context(closing(Inspector(url)))
        self.withdrawal = stack.enter_context(closing(Withdrawal(url, ledger=ledger)))
        self.pushed: Counter[int] = Counter()

    def run(self, number: int) -> Run:
        return replace(a_run(), id=RunId(number + 1), open=True if number else None)

    def queue(self, number: int, priority: Priority = Priority.NORMAL) -> str:
        return queue_of(self.run(number), self.ledger, priority)

    def push(self, number: int, items: int = 1) -> int:
        """Push the next items of one run; returns how many wait there now."""
        run, first = self.run(number), self.pushed[number]
        self.pushed[number] += items
        batch = [an_item(run.id, index) for index in range(first, first + items)]
        return self.publisher.push(self.queue(number), self.publisher.entries(batch, run, self.queue(number)))

    def claim(self, most: int, queue: str = QUEUE) -> list[tuple[int, int]]:
        """Take some; returns run and number of each."""
        return list(map(_of, self.held(most, queue)))

    def held(self, most: int, queue: str = QUEUE) -> list[Claimed]:
        return self.leases.claim([queue, aside(queue, self.ledger)], most, ledger=self.ledger)

    @property
    def waiting(self) -> int:
        return self.inspector.backlog([QUEUE]).queues[0].waiting

    def in_turns(self, queue: str = QUEUE) -> list[str]:
        names = self.redis.zrange(turns_of(queue), 0, -1)
        return [name.decode() for name in names]  # pyrefly: ignore[missing-attribute]


def _of(claimed: Claimed) -> tuple[int, int]:
    run, number = divmod(int(json.loads(claimed.text)["headers"]["id"].split("-")[1]), 10**10)
    return run - 1, number


@pytest.fixture
def turns(broker_url: str) -> Iterator[Turns]:
    with ExitStack() as stack:
        yield Turns(broker_url, stack)


_PUSHES = st.tuples(st.integers(0, 4), st.integers(1, 9))


# The servers are emptied for each example.
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(_PUSHES | st.integers(1, 12), max_size=15), most=st.integers(1, 12))
@example(steps=[(0, 9), (1, 9), (2, 1), 1, (2, 1), 1, 1, (2, 1)], most=1)
def test_each_gets_an_equal_part_in_its_own_order_and_nothing_is_left_over(
    turns: Turns, steps: Sequence[tuple[int, int] | int], most: int
) -> None:
    turns.redis.flushdb()
    left, taken, pushed = Counter[int](), list[tuple[int, int]](), Counter(turns.pushed)
    first = dict(pushed)

    def claim(most: int) -> None:
        before = {run for run, number in left.items() if number}
        found = turns.claim(most)
        assert len(found) == min(most, left.total())
        taken.extend(found)
        got = Counter(run for run, _ in found)
        left.subtract(got)
        hungry = {run for run in before if left[run]}
        assert all(got[run] >= most // len(before) for run in hungry), (got, left)
        # What was served less is next, so with fewer places than runs none is served twice.
        assert most >= len(before) or set(got.values()) <= {1}

    for step in steps:
        if isinstance(step, int):
            claim(step)
        else:
            assert turns.push(*step) == left[step[0]] + step[1]
            left[step[0]] += step[1]
        assert turns.waiting == left.total()
    while left.total():
        claim(most)
    for run in range(5):
        numbers = [number for one, number in taken if one == run]
        assert numbers == list(range(first.get(run, 0), first.get(run, 0) + len(numbers)))
    assert not turns.claim(1)
    assert turns.redis.exists(turns_of(QUEUE)) == 0


def test_an_idle_run_comes_first_and_one_that_always_has_something_new_only_in_turn(turns: Turns) -> None:
    turns.push(0, 200)
    turns.push(1, 200)
    turns.claim(6)
    turns.push(2)
    assert turns.claim(1) == [(2, 0)]
    served = Counter[int]()
    for _ in range(60):
        turns.push(2)
        served.update(run for run, _ in turns.claim(1))
        turns.push(3)
        served.update(run for run, _ in turns.claim(1))
    assert max(served.values()) - min(served.values()) <= 2, served
    assert set(served) == {0, 1, 2, 3}


def test_what_is_put_back_or_expires_takes_turns_again(clocks: Clocks, turns: Turns) -> None:
    turns.push(1, 3)
    held = turns.held(3)
    assert turns.in_turns() == []
    assert turns.leases.put_back([one.tag for one in held[2:]], count=False) == 1
    assert turns.claim(9) == [(1, 2)]
    clocks.spend(31)
    assert len(turns.leases.expire()) == 3
    assert turns.in_turns() == [turns.queue(1)]
    assert turns.waiting == 3
    assert sorted(turns.claim(9)) == [(1, 0), (1, 1), (1, 2)]


def test_a_run_is_withdrawn_and_moved_between_priorities(turns: Turns) -> None:
    high, own = queue_for(None, Priority.HIGH), places_of(turns.run(1), LEDGER)
    turns.push(0, 2)
    turns.push(1, 250)
    turns.push(2, 2)
    assert turns.withdrawal.move(RunId(2), own, to=turns.queue(1, Priority.HIGH)) == 250
    assert turns.in_turns() == [turns.queue(2)]
    assert turns.inspector.backlog([high]).queues[0].waiting == 250
    assert turns.claim(3, high) == [(1, 0), (1, 1), (1, 2)]
    assert turns.withdrawal.withdraw(RunId(2), own) == 247
    assert turns.in_turns(high) == []
    assert turns.claim(9, high) == []
    assert sorted(turns.claim(9)) == [(0, 0), (0, 1), (2, 0), (2, 1)]
    assert len(turns.inspector.task_ids(*own)) == 7


def test_each_ledger_is_served_by_its_own_workers(turns: Turns) -> None:
    with ExitStack() as stack:
        others = Turns(turns.url, stack, OTHER)
        for one in (turns, others):
            one.push(1, 2)
            one.push(2, 2)
        assert [others.leases.claim([QUEUE], 1, ledger=OTHER)[0].queue] == [others.queue(1)]
        assert sorted(turns.claim(9)) == sorted(turns.claim(9) or [(1, 0), (1, 1), (2, 0), (2, 1)])
        others.push(1)
        assert turns.claim(9) == []
        seen = others.inspector.task_ids(*places_for(OTHER, None))
        assert len([task for task in seen if task.startswith(OTHER)]) == 5
        assert sorted(others.claim(9)) == [(1, 1), (1, 2), (2, 0), (2, 1)]
        assert others.redis.exists(turns_of(QUEUE), turns_of(aside(QUEUE, OTHER)), turns_of(aside(QUEUE, LEDGER))) == 0


def test_whose_turn_it_is_may_be_lost(turns: Turns) -> None:
    turns.push(1, 2)
    turns.redis.delete(turns_of(QUEUE))
    # Nobody sees what waits there, so reconcilers enqueue it again, and then all of it is found.
    assert turns.inspector.task_ids(*places_for(LEDGER, None)) == set()
    turns.push(1)
    assert turns.claim(9) == [(1, 0), (1, 1), (1, 2)]


def test_a_full_server_takes_nothing_more_and_gives_all_it_has(turns: Turns) -> None:
    turns.push(0, 5)
    turns.push(1, 5)
    own = places_of(turns.run(1), LEDGER)
    turns.redis.config_set("maxmemory", 1)
    with pytest.raises(BrokerFull):
        turns.push(1)
    held = turns.held(4)
    assert sorted(map(_of, held)) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert turns.leases.put_back([one.tag for one in held], count=False) == 4
    assert turns.withdrawal.move(RunId(2), own, to=turns.queue(1, Priority.HIGH)) == 5
    turns.redis.config_set("maxmemory", 0)
    assert len(turns.claim(9, queue_for(None, Priority.HIGH))) == len(turns.claim(9)) == 5


def test_who_waits_hears_of_a_push_and_of_nothing_else(turns: Turns) -> None:
    with closing(Pushes(turns.url)) as pushes:
        assert not pushes.wait(0.01)
        pushes.listen([QUEUE])
        assert pushes.wait(1), "something may have come before"
        assert not pushes.wait(0.01)
        turns.push(1)
        turns.push(0, 3)
        assert wait_until(lambda: pushes.wait(0.1), describe="it hears")
        assert not pushes.wait(0.1), "all that came together is told once"
        turns.redis.publish(f"{PUSHED}:{queue_for('another')}", 1)
        assert not pushes.wait(0.1)


def test_an_idle_worker_is_woken_and_without_that_it_looks_by_itself(turns: Turns) -> None:
    taken = list[Claimed]()
    keeper = LeaseKeeper(Leases(turns.url, worker="w:1", seconds=30), lease_seconds=30)
    keeper.attach(Consumer([QUEUE], room=lambda: 9, deliver=taken.extend, ledger=LEDGER))
    try:
        for heard in (True, False):
            wait_until(lambda: turns.redis.pubsub_numsub(f"{PUSHED}:{QUEUE}")[0][1] == 1, describe="it listens")
            if not heard:
                turns.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            before = len(taken)
            turns.push(1)
            wait_until(lambda before=before: len(taken) > before, describe="it has taken the message")
    finally:
        keeper.close()


@pytest.mark.parametrize("site", ["redis+postgresql"], indirect=True)
def test_open_runs_are_answered_beside_thousands_of_items_and_changed_on_the_way(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "reads_colour").model_copy(update={"window": 16})
    with Client(settings) as client:
        large = client.submit(many_records(tmp_path / "large", 3000))
        runs = [client.open_run(f"small-{number}", image_base=tmp_path / "large") for number in range(3)]
        for run in runs:
            run.add_many({"image": f"images/{number}.png", "id": number} for number in range(20))
        assert runs[0].depth() == Depth(waiting=20, held=0)
        assert runs[2].set_priority("low") == 20
        with WorkerProcess(settings, tmp_path):
            for run in runs[:2]:
                run.wait(timeout_seconds=60, display=quiet)
            assert large.progress().pending > 2700, "the small ones were stuck behind the large one"
            added = time.monotonic()
            runs[0].add({"image": "images/7.png", "id": 99})
            wait_until(lambda: runs[0].progress().pending == 0, describe="it is answered")
            assert time.monotonic() - added < 2 or large.progress().pending > 2400
            assert runs[2].progress().pending == 20, "nothing of a lower priority was begun"
            assert runs[2].pause() == 20
            large.cancel()
            assert runs[2].resume() == 20
            runs[2].wait(timeout_seconds=60, display=quiet)
            wait_until(lambda: held(settings) == 0, describe="what has begun is finished")
        for run in runs:
            run.close()
            assert run.audit().holds
