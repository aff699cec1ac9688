"""Claiming: from which queue a worker takes first, and how many messages it takes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from persqa.broker.keys import priority_of
from persqa.runs import Priority

if TYPE_CHECKING:
    from collections.abc import Iterable

#: A worker with empty hands takes at most this many messages at once: enough to begin with.
FIRST_CLAIM = 32
#: An idle worker notices within this time that there is something to take.
NOTICE_SECONDS = 0.25


def claim_order(queues: Iterable[str], turn: int) -> list[str]:
    """The same queues, those of a higher priority first; queues of the same priority take turns at being first.

    So nothing is begun while something of a higher priority waits, and a long queue does not starve another one of the
    same priority.
    """
    same: defaultdict[Priority, list[str]] = defaultdict(list)
    for queue in queues:
        same[priority_of(queue)].append(queue)
    ordered: list[str] = []
    for priority in Priority:
        if group := same[priority]:
            first = turn % len(group)
            ordered += [*group[first:], *group[:first]]
    return ordered


class SlowStart:
    """How many messages a worker may have in hand: few at first, and twice as many while the queue has more.

    A long queue fills a window of 256 within a second. A short queue is shared, since every worker looks before one of
    them may take all. All times are those of the caller's clock, in seconds.
    """

    def __init__(self) -> None:
        self._most = FIRST_CLAIM
        #: Since when the queue has had more than was taken; None while it has not.
        self._more_since: float | None = None

    def free(self, *, room: int, held: int, now: float) -> int:
        """How many may be taken now.

        Args:
            room: how many the worker wants in hand, at most.
            held: how many it has.
            now: the time.
        """
        if self._more_since is not None and now - self._more_since >= NOTICE_SECONDS:
            self._most = min(2 * self._most, room)
            self._more_since = now
        return max(0, min(room, self._most) - held)

    def note(self, *, more: bool, held: int, now: float) -> None:
        """Learn from a claim.

        Args:
            more: whether the queue had as many as were asked for.
            held: how many are in hand with them.
            now: the time.
        """
        if more:
            self._more_since = now if self._more_since is None else self._more_since
        else:
            self._most, self._more_since = max(FIRST_CLAIM, held), None
