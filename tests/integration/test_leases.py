"""Leases when Redis loses keys or its clock is set: nothing is stuck, lost or answered by two."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, cast

import pytest

from persqa.broker.keys import HELD, LEASES, QUEUE
from persqa.broker.leases import MOST_AT_ONCE, Leases
from tests.support.clocks import Clocks, Peer, pass_time, publish, waiting

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def dead(broker_url: str, clocks: Clocks) -> Iterator[Peer]:
    """A worker that takes ten messages, and is heard of no more."""
    publish(clocks.redis, map(str, range(10)))
    peer = Peer(broker_url, clocks, "dead:1", 30)
    assert len(peer.claim(10)) == 10
    yield peer
    peer.leases.close()


@pytest.fixture
def alive(broker_url: str, clocks: Clocks) -> Iterator[Peer]:
    """A worker that looks after what others hold."""
    peer = Peer(broker_url, clocks, "alive:2", 30)
    yield peer
    peer.leases.close()


def test_what_a_dead_worker_held_comes_back_though_its_leases_are_lost(clocks: Clocks, dead: Peer, alive: Peer) -> None:
    clocks.redis.delete(LEASES)
    pass_time(clocks, 40, alive)
    assert sorted(waiting(clocks.redis)) == sorted(dead.hand)
    assert clocks.redis.exists(HELD, LEASES) == 0


def test_what_a_dead_worker_held_comes_back_in_time_though_the_clock_is_set_back(
    clocks: Clocks, dead: Peer, alive: Peer
) -> None:
    clocks.set(-3600)
    pass_time(clocks, 40, alive)
    assert sorted(waiting(clocks.redis)) == sorted(dead.hand)


@pytest.mark.parametrize("change", [-3600, -31, 31, 3600])
def test_a_clock_that_is_set_takes_nothing_from_a_live_worker(
    clocks: Clocks, dead: Peer, alive: Peer, change: int
) -> None:
    publish(clocks.redis, ["x", "y"])
    assert alive.claim(2) == {"x", "y"}
    clocks.set(change)
    # Whoever looks first.
    other = Peer(alive.leases.url, clocks, "other:3", 30) if change < 0 else alive
    pass_time(clocks, 40, other, alive)
    assert sorted(waiting(clocks.redis)) == sorted(dead.hand)
    (claimed,) = {one.count for one in alive.leases.claim([QUEUE], 10)}
    assert claimed == 2, "only a lease that has run out counts"
    other.leases.close()


def test_what_a_live_worker_holds_is_held_again_after_all_was_forgotten(clocks: Clocks, alive: Peer) -> None:
    publish(clocks.redis, ["x", "y"])
    alive.claim(2)
    clocks.redis.flushdb()
    clocks.set(0)
    pass_time(clocks, 10, alive)
    assert set(cast("list[bytes]", clocks.redis.hkeys(HELD))) == {b"x", b"y"}
    # As before: it is its own to give back, and another's once its lease has run out.
    assert alive.leases.put_back(["x"], count=False) == 1
    with closing(Leases(alive.leases.url, worker="other:3", seconds=30)) as other:
        clocks.spend(31)
        assert other.expire() == ["y"]
    assert waiting(clocks.redis) == ["x", "y"]


def test_what_has_run_out_is_not_taken_back_by_the_worker_that_was_away(
    clocks: Clocks, dead: Peer, alive: Peer
) -> None:
    pass_time(clocks, 40, alive)
    (settled,) = alive.claim(1)
    alive.leases.settle([settled])
    for _ in range(2):
        assert dead.leases.renew(sorted(dead.hand)) == 0
        clocks.spend(8)
    assert clocks.redis.exists(HELD, LEASES) == 0


def test_leases_of_another_length_are_let_alone(broker_url: str, clocks: Clocks, alive: Peer) -> None:
    publish(clocks.redis, ["x"])
    long = Peer(broker_url, clocks, "long:3", 3600)
    long.claim(1)
    clocks.redis.delete(LEASES)
    pass_time(clocks, 120, alive)
    assert waiting(clocks.redis) == []
    long.leases.close()


def test_an_entry_that_no_claim_has_made_goes_away(clocks: Clocks, alive: Peer) -> None:
    clocks.redis.hset(HELD, "tag", "not an entry")
    clocks.redis.zadd(LEASES, {"nothing": "+inf"})
    pass_time(clocks, 40, alive)
    assert clocks.redis.exists(HELD, LEASES, QUEUE) == 0


def test_a_full_server_still_lets_leases_be_mended(clocks: Clocks, dead: Peer, alive: Peer) -> None:
    publish(clocks.redis, ["x"])
    alive.claim(1)
    clocks.redis.delete(LEASES)
    clocks.redis.hdel(HELD, "x")
    clocks.redis.config_set("maxmemory", 1)
    try:
        # The clock of this test needs memory, which the real one does not.
        alive.leases.expire()
        assert alive.leases.renew(["x"]) == 1
        assert clocks.redis.zcard(LEASES) == clocks.redis.hlen(HELD) == 1 + len(dead.hand)
    finally:
        clocks.redis.config_set("maxmemory", 0)


def test_one_call_takes_a_thousand_at_most(clocks: Clocks, alive: Peer) -> None:
    publish(clocks.redis, map(str, range(2 * MOST_AT_ONCE)))
    assert len(alive.claim(65_536)) == MOST_AT_ONCE == 1000
