"""Claiming: from which queue a worker claims first, and how many messages."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from persqa.broker.keys import priority_of
from persqa.broker.leases import MOST_AT_ONCE
from persqa.runs import Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from persqa.broker.leases import Claimed

#: The most messages in the first claim of a worker that holds none.
FIRST_CLAIM = 32
#: Longest time in which an idle worker notices new messages, though nobody wakes it.
NOTICE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Consumer:
    """Takes the messages that are claimed.

    Attributes:
        queues: where to claim from.
        ledger: whose runs beside these queues; anybody's for "".
        room: says how many messages it wants to hold, at most.
        deliver: gets the claimed messages, in the keeper's thread.
    """

    queues: Sequence[str]
    room: Callable[[], int]
    deliver: Callable[[list[Claimed]], None]
    ledger: str = ""


def claim_order(queues: Iterable[str], turn: int) -> list[str]:
    """The queues, higher priorities first; `turn` decides which of several queues of one priority comes first.

    So nothing is begun while items of a higher priority wait, and a long queue starves no other of its priority.
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
    """How many messages a worker may hold: few at first, and twice as many each time while the queue has more.

    A long queue fills a window of 256 within a second. A short queue is shared, because every worker looks before one
    of them may claim all. `now` is the caller's clock, in seconds.
    """

    def __init__(self) -> None:
        self._most = FIRST_CLAIM
        #: Since when claims have left messages in the queue; None while they have not.
        self._more_since: float | None = None

    def free(self, *, room: int, held: int, now: float) -> int:
        """How many messages to claim in one call; the worker holds `held` and wants to hold `room` at most."""
        if self._more_since is not None and now - self._more_since >= NOTICE_SECONDS:
            self._most = min(2 * self._most, room)
            self._more_since = now
        return max(0, min(min(room, self._most) - held, MOST_AT_ONCE))

    def note(self, *, more: bool, held: int, now: float) -> None:
        """Learn from a claim: whether the queue had `more` to give, and how many messages are now `held`."""
        if more:
            self._more_since = now if self._more_since is None else self._more_since
        else:
            self._most, self._more_since = max(FIRST_CLAIM, held), None
