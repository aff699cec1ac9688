"""Any sequence of losses, deaths and clocks that are set, played on real servers against what must hold."""

from __future__ import annotations

from typing import cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from persqa.broker.keys import COUNTS, HELD, HISTORIES, LEASES
from tests.support.clocks import SWEEP, Clocks, Peer, publish, waiting


class LeasesUnderLosses(RuleBasedStateMachine):
    """Workers that come and go, over a server that loses keys and whose clock is set.

    What is in a live worker's hand is given to nobody else. What a dead one held comes back, unless the server has lost
    the message itself: that is the reconciler's business.
    """

    def __init__(self, url: str, clocks: Clocks) -> None:
        super().__init__()
        self.url, self.clocks = url, clocks
        clocks.redis.flushdb()  # pyright: ignore[reportUnknownMemberType]
        clocks.set(0)
        self.count = 0
        self.live: list[Peer] = []
        #: Messages that nobody has settled, those that the server has forgotten while a live worker has them, and those
        #: that nobody has any more.
        self.open: set[str] = set()
        self.forgotten: set[str] = set()
        self.lost: set[str] = set()

    @rule(number=st.integers(1, 5))
    def publish(self, number: int) -> None:
        tags = {f"m{self.count + at}" for at in range(number)}
        self.count += number
        self.open |= tags
        publish(self.clocks.redis, tags)

    @precondition(lambda self: len(self.live) < 3)
    @rule(seconds=st.sampled_from((40, 40, 400)))
    def start(self, seconds: int) -> None:
        self.spend(1)
        self.count += 1
        self.live.append(Peer(self.url, self.clocks, f"w:{self.count}", seconds))

    @precondition(lambda self: self.live)
    @rule(which=st.integers(0, 2), number=st.integers(1, 8))
    def claim(self, which: int, number: int) -> None:
        peer = self.live[which % len(self.live)]
        others = set[str]().union(*(other.hand for other in self.live))
        claimed = peer.claim(number)
        assert not claimed & others, "two live workers have the same"

    @precondition(lambda self: self.live)
    @rule(which=st.integers(0, 2), number=st.integers(1, 4), counts=st.booleans())
    def give_back(self, which: int, number: int, counts: bool) -> None:
        peer = self.live[which % len(self.live)]
        some = sorted(peer.hand)[:number]
        peer.hand -= set(some)
        peer.leases.put_back(some, count=counts)
        self.lost |= self.forgotten & set(some)

    @precondition(lambda self: self.live)
    @rule(which=st.integers(0, 2), number=st.integers(1, 4))
    def settle(self, which: int, number: int) -> None:
        peer = self.live[which % len(self.live)]
        some = set(sorted(peer.hand)[:number])
        peer.hand -= some
        peer.leases.settle(sorted(some))
        self.open -= some

    @precondition(lambda self: self.live)
    @rule(which=st.integers(0, 2))
    def die(self, which: int) -> None:
        peer = self.live.pop(which % len(self.live))
        peer.leases.close()
        self.lost |= self.forgotten & peer.hand

    @rule(keys=st.sets(st.sampled_from((HELD, LEASES, COUNTS, HISTORIES)), min_size=1))
    def lose(self, keys: set[str]) -> None:
        if HELD in keys:
            gone = {tag.decode() for tag in cast("list[bytes]", self.clocks.redis.hkeys(HELD))}
            hands = set[str]().union(*(peer.hand for peer in self.live))
            self.forgotten |= gone & hands
            self.lost |= gone - hands
        self.clocks.redis.delete(*keys)

    # Less is not noticed, and does no harm once.
    @rule(seconds=st.integers(11, 5000), sign=st.sampled_from((-1, 1)))
    def set_clock(self, seconds: int, sign: int) -> None:
        self.spend(1)
        self.clocks.set(sign * seconds)

    @rule(sweeps=st.integers(1, 25))
    def spend(self, sweeps: int) -> None:
        for _ in range(sweeps):
            self.clocks.spend(SWEEP)
            for peer in self.live:
                if peer.turn():
                    self.forgotten -= peer.hand
        queue = waiting(self.clocks.redis)
        assert len(queue) == len(set(queue)), "twice in the queue"
        hands = set[str]().union(*(peer.hand for peer in self.live))
        assert not hands & set(queue), "taken from a live worker"

    def teardown(self) -> None:
        if not self.live:
            self.start(40)
        for _ in range(45):
            self.spend(5)
        redis, hands = self.clocks.redis, set[str]().union(*(peer.hand for peer in self.live))
        queue, held = set(waiting(redis)), {tag.decode() for tag in cast("list[bytes]", redis.hkeys(HELD))}
        leases = dict(cast("list[tuple[bytes, float]]", redis.zrange(LEASES, 0, -1, withscores=True)))
        assert held == hands == {tag.decode() for tag in leases}
        assert queue == self.open - hands - self.lost
        now = self.clocks.server
        assert all(now < ends <= now + 400 for ends in leases.values())
        for peer in self.live:
            peer.leases.close()


def test_whatever_is_lost_and_however_the_clock_is_set_all_flows_again(broker_url: str, clocks: Clocks) -> None:
    run_state_machine_as_test(
        lambda: LeasesUnderLosses(broker_url, clocks),
        settings=settings(max_examples=40, stateful_step_count=25, deadline=None),
    )
