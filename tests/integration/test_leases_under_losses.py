"""Any sequence of losses, deaths and clocks that are set, played on real servers against what must hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persqa.broker.keys import COUNTS, HELD, HISTORIES, LEASES
from tests.support.clocks import SWEEP, Clocks, Peer, publish, waiting

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

_Step: TypeAlias = "tuple[str, *tuple[object, ...]]"

_LOSSES = st.sampled_from(((), (LEASES,), (HELD,), (COUNTS, HISTORIES), (HELD, LEASES, COUNTS, HISTORIES)))
_WHICH, _FEW = st.integers(0, 2), st.integers(1, 4)
#: Less than 10 s is not noticed, and does no harm once.
_CHANGES = st.one_of(st.integers(11, 5000), st.integers(-5000, -11))
_STEPS: st.SearchStrategy[_Step] = st.one_of(
    st.tuples(st.just("publish"), _FEW),
    st.tuples(st.just("start"), st.sampled_from((40, 40, 400))),
    st.tuples(st.just("claim"), _WHICH, st.integers(1, 8)),
    st.tuples(st.just("give_back"), _WHICH, _FEW, st.booleans()),
    st.tuples(st.just("settle"), _WHICH, _FEW),
    st.tuples(st.just("die"), _WHICH, _LOSSES),
    st.tuples(st.just("lose"), _LOSSES),
    st.tuples(st.just("set_clock"), _CHANGES),
    st.tuples(st.just("spend"), st.integers(1, 25)),
)


class Fleet:
    """Workers that come and go, over a server that loses keys and whose clock is set.

    What is in a live worker's hand is given to nobody else. What a dead one held comes back, unless the server has lost
    the message itself: that is the reconciler's business.
    """

    def __init__(self, url: str, clocks: Clocks) -> None:
        self._url, self._clocks, self._redis = url, clocks, clocks.redis
        self._redis.flushdb()
        clocks.set(0)
        self._count = 0
        self._live: list[Peer] = []
        #: Messages that nobody has settled, those that the server has forgotten while a live worker has them, and those
        #: that nobody has any more.
        self._open: set[str] = set()
        self._forgotten: set[str] = set()
        self._lost: set[str] = set()
        self.publish(9)
        self.start(40)
        self.start(40)

    def publish(self, number: int) -> None:
        tags = {f"m{self._count + at}" for at in range(number)}
        self._count += number
        self._open |= tags
        publish(self._redis, tags)

    def start(self, seconds: int) -> None:
        # Nobody begins between a change of the clock and the sweeps of the others.
        self.spend(1)
        if len(self._live) < 3:
            self._count += 1
            self._live.append(Peer(self._url, self._clocks, f"w:{self._count}", seconds))

    def claim(self, which: int, number: int) -> None:
        if (peer := self._peer(which)) is not None:
            hands = self._hands
            assert not peer.claim(number) & hands, "two live workers have the same"

    def give_back(self, which: int, number: int, counts: bool) -> None:
        if (peer := self._peer(which)) is not None:
            some = sorted(peer.hand)[:number]
            peer.hand -= set(some)
            peer.leases.put_back(some, count=counts)
            self._lost |= self._forgotten & set(some)

    def settle(self, which: int, number: int) -> None:
        if (peer := self._peer(which)) is not None:
            some = set(sorted(peer.hand)[:number])
            peer.hand -= some
            peer.leases.settle(sorted(some))
            self._open -= some

    def die(self, which: int, keys: tuple[str, ...]) -> None:
        self.lose(keys)
        if (peer := self._peer(which)) is not None:
            self._live.remove(peer)
            peer.leases.close()
            self._lost |= self._forgotten & peer.hand

    def lose(self, keys: tuple[str, ...]) -> None:
        if HELD in keys:
            gone, hands = self._held, self._hands
            self._forgotten |= gone & hands
            self._lost |= gone - hands
        if keys:
            self._redis.delete(*keys)

    def set_clock(self, seconds: int) -> None:
        # One change at a time is seen.
        self.spend(1)
        self._clocks.set(seconds)

    def spend(self, sweeps: int) -> None:
        for _ in range(sweeps):
            self._clocks.spend(SWEEP)
            for peer in self._live:
                if peer.turn():
                    self._forgotten -= peer.hand
        queue = waiting(self._redis)
        assert len(queue) == len(set(queue)), "twice in the queue"
        assert not self._hands & set(queue), "taken from a live worker"

    def check(self) -> None:
        """Within the longest lease all is where it belongs."""
        self.start(40)
        self.spend(210)
        now = self._clocks.server
        found = self._redis.zrange(LEASES, 0, -1, withscores=True)
        leases = dict(cast("list[tuple[bytes, float]]", found))
        assert self._held == self._hands == {tag.decode() for tag in leases}
        assert set(waiting(self._redis)) == self._open - self._hands - self._lost
        assert all(now < ends <= now + 400 for ends in leases.values())

    def close(self) -> None:
        """Close all connections."""
        for peer in self._live:
            peer.leases.close()

    def _peer(self, which: int) -> Peer | None:
        return self._live[which % len(self._live)] if self._live else None

    @property
    def _hands(self) -> AbstractSet[str]:
        return set[str]().union(*(peer.hand for peer in self._live))

    @property
    def _held(self) -> AbstractSet[str]:
        return {tag.decode() for tag in cast("list[bytes]", self._redis.hkeys(HELD))}


# The servers are emptied for each example.
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(_STEPS, min_size=20, max_size=50), change=_CHANGES)
def test_whatever_is_lost_and_however_the_clock_is_set_all_flows_again(
    broker_url: str, clocks: Clocks, steps: list[_Step], change: int
) -> None:
    fleet = Fleet(broker_url, clocks)
    for name, *arguments in steps:
        getattr(fleet, name)(*arguments)
    fleet.publish(4)
    fleet.claim(0, 8)
    fleet.die(0, ())
    fleet.set_clock(change)
    fleet.check()
    fleet.close()
