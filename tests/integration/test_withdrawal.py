"""Taking a run's messages out of a queue that others use, and moving them, on Valkey and on Redis."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest
from redis.exceptions import NoPermissionError

from persqa.broker.connection import connect
from persqa.broker.keys import COUNTS, HELD, HISTORIES, QUEUE, queue_for
from persqa.broker.leases import Leases
from persqa.broker.publisher import Publisher
from persqa.broker.withdrawal import Withdrawal
from persqa.messages import item_of
from persqa.runs import Priority, RunId
from tests.support.builders import LEDGER, a_run, an_item
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

HIGH = queue_for(None, Priority.HIGH)


def put(url: str, run_id: int, indices: Sequence[int], *, queue: str = QUEUE) -> None:
    run = replace(a_run(), id=RunId(run_id))
    with closing(Publisher(url, ledger=LEDGER, queue_bound=10**6)) as publisher:
        publisher.push(queue, publisher.entries([an_item(run.id, index) for index in indices], run, queue))


def item(task: str) -> int:
    found = item_of(task, LEDGER)
    assert found is not None
    return found


def waiting(url: str, queue: str = QUEUE) -> list[tuple[int, int]]:
    """Run and number of what waits, in the order in which it would be taken."""
    with closing(connect(url)) as client:
        entries = cast("list[bytes]", client.lrange(queue, 0, -1))
    return [divmod(item(json.loads(entry)["headers"]["id"]), 10**10) for entry in reversed(entries)]


def test_only_the_runs_own_are_taken_out_and_the_others_keep_their_order(broker_url: str) -> None:
    foreign = [
        "no JSON",
        b"\xff\x00",
        "[" * 9_000,
        '{"headers": {"id": "7"}}',
        '{"headers": {"id": "fedcba9876543210-10000000001"}}',
        f'{{"text": "\\"id\\": \\"{LEDGER}-10000000001\\""}}',
    ]
    others = [2, 10, 11, 100]
    for start in range(0, 600, 100):
        put(broker_url, 1, range(start, start + 100))
        for run in others:
            put(broker_url, run, range(start, start + 3))
    with closing(connect(broker_url)) as client, closing(Withdrawal(broker_url, ledger=LEDGER)) as withdrawal:
        client.lpush(QUEUE, *foreign)
        assert withdrawal.withdraw(RunId(1), [HIGH, QUEUE]) == 600
        assert withdrawal.withdraw(RunId(1), [HIGH, QUEUE]) == 0
        assert client.llen(QUEUE) == 6 * 3 * len(others) + len(foreign)
        client.ltrim(QUEUE, len(foreign), -1)
    expected = [(run, at) for start in range(0, 600, 100) for run in others for at in range(start, start + 3)]
    assert waiting(broker_url) == expected


def test_what_is_moved_goes_behind_the_others_in_its_order(broker_url: str) -> None:
    put(broker_url, 2, range(3), queue=HIGH)
    for start in range(0, 500, 50):
        put(broker_url, 1, range(start, start + 50))
        put(broker_url, 3, [start])
    with closing(Withdrawal(broker_url, ledger=LEDGER)) as withdrawal:
        assert withdrawal.move(RunId(1), [HIGH, QUEUE], to=HIGH) == 500
    assert waiting(broker_url, HIGH) == [*((2, at) for at in range(3)), *((1, at) for at in range(500))]
    assert waiting(broker_url) == [(3, start) for start in range(0, 500, 50)]


def test_what_is_known_of_earlier_deliveries_goes_with_the_message(broker_url: str) -> None:
    put(broker_url, 1, range(300))
    put(broker_url, 2, range(10))
    with closing(connect(broker_url)) as client, closing(Withdrawal(broker_url, ledger=LEDGER)) as withdrawal:
        with closing(Leases(broker_url, worker="dead:1", seconds=0.001)) as dead:
            assert len(dead.claim([QUEUE], 310)) == 310
            wait_until(lambda: len(dead.expire()) == 0 == client.hlen(HELD), describe="the leases run out")
        assert client.hlen(COUNTS) == client.hlen(HISTORIES) == 310
        # A message that is only moved keeps them.
        assert withdrawal.move(RunId(1), [QUEUE], to=HIGH) == 300
        assert client.hlen(COUNTS) == client.hlen(HISTORIES) == 310
        assert withdrawal.withdraw(RunId(1), [HIGH, QUEUE]) == 300
        assert client.hlen(COUNTS) == client.hlen(HISTORIES) == 10
        with closing(Leases(broker_url, worker="next:1", seconds=30)) as leases:
            assert [claimed.count for claimed in leases.claim([QUEUE], 20)] == [2] * 10


@pytest.mark.parametrize("to", [None, HIGH])
def test_whatever_others_do_meanwhile_each_message_is_in_one_place(broker_url: str, to: str | None) -> None:
    put(broker_url, 1, range(4000))
    put(broker_url, 2, range(1000))

    def put_in() -> None:
        for start in range(1000, 3000, 50):
            put(broker_url, 2, range(start, start + 50))

    def claim() -> list[str]:
        with closing(Leases(broker_url, worker="one:1", seconds=30)) as leases:
            claimed = [one for _ in range(60) for one in leases.claim([QUEUE], 20)]
        return [json.loads(one.text)["headers"]["id"] for one in claimed]

    with (
        closing(Withdrawal(broker_url, ledger=LEDGER)) as withdrawal,
        ThreadPoolExecutor(2, thread_name_prefix="test") as threads,
    ):
        putting, claiming = threads.submit(put_in), threads.submit(claim)
        moved = withdrawal.withdraw(RunId(1), [QUEUE]) if to is None else withdrawal.move(RunId(1), [QUEUE], to=to)
        putting.result()
        taken = [divmod(item(task), 10**10) for task in claiming.result()]
    assert len(set(taken)) == len(taken)
    left = waiting(broker_url)
    assert all(run == 2 for run, _ in left)
    assert sorted([*left, *(one for one in taken if one[0] == 2)]) == [(2, at) for at in range(3000)]
    assert moved == 4000 - sum(run == 1 for run, _ in taken)
    if to is not None:
        assert sorted([*waiting(broker_url, to), *(one for one in taken if one[0] == 1)]) == [
            (1, at) for at in range(4000)
        ]


def test_a_full_server_can_be_relieved(broker_url: str) -> None:
    put(broker_url, 1, range(300))
    put(broker_url, 2, range(300))
    with closing(connect(broker_url)) as client, closing(Withdrawal(broker_url, ledger=LEDGER)) as withdrawal:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1mb")
        assert withdrawal.move(RunId(1), [QUEUE], to=HIGH) == 300
        assert withdrawal.withdraw(RunId(1), [QUEUE, HIGH]) == 300
        assert len(waiting(broker_url)) == 300
        client.config_set("maxmemory", "0")


def test_an_account_that_may_pop_nothing_can_withdraw(broker_url: str) -> None:
    put(broker_url, 1, range(10))
    pops = ["lpop", "rpop", "blpop", "brpop", "lmove", "blmove", "rpoplpush", "brpoplpush"]
    with closing(connect(broker_url)) as client:
        client.execute_command("ACL", "SETUSER", "default", *(f"-{command}" for command in pops))
        with pytest.raises(NoPermissionError):
            client.rpop(QUEUE)
    with closing(Withdrawal(broker_url, ledger=LEDGER)) as withdrawal:
        assert withdrawal.move(RunId(1), [QUEUE], to=HIGH) == 10
        assert withdrawal.withdraw(RunId(1), [HIGH]) == 10
