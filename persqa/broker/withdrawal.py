"""Withdrawal: one run's messages are taken out of queues, or moved to another one, while others use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from persqa.broker.connection import BrokerClient, script, translated
from persqa.broker.keys import COUNTS, HISTORIES, turns_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from persqa.runs import RunId

#: Messages that one call looks at. Redis answers nobody else meanwhile, for some 10 to 30 ms in a queue of 100,000.
_AT_ONCE = 100
#: Passes over a queue, at most: a producer that does not know of the withdrawal may go on adding messages.
_PASSES = 5


class Withdrawal(BrokerClient):
    """Takes messages out of queues only, never out of a worker's hands; each step is one script over a part of a queue.

    It goes from the oldest message to the newest, so that workers, who take the oldest, find few of the run's. Messages
    that they take meanwhile do not shift those still to be looked at. New messages shift some to where the pass has
    already been, so it repeats until a pass finds nothing.
    """

    def __init__(self, url: str, *, ledger: str) -> None:
        super().__init__(url)
        self._ledger = ledger
        self._script = script(self._redis, "withdraw")

    def withdraw(self, run_id: RunId, queues: Iterable[str]) -> int:
        """Take a run's messages out of these queues; returns how many. Safe to repeat, also after a failure.

        What Redis knows of their deliveries goes with them.
        """
        return sum(self._clear(run_id, queue, to=None) for queue in queues)

    def move(self, run_id: RunId, queues: Iterable[str], *, to: str) -> int:
        """Move a run's messages to the end of another queue, in order; returns how many. Safe to repeat.

        Each message is in one of the queues at every moment, so nobody counts it as lost.
        """
        return sum(self._clear(run_id, queue, to=to) for queue in queues if queue != to)

    def _clear(self, run_id: RunId, queue: str, *, to: str | None) -> int:
        found = 0
        with translated(self.url):
            for _ in range(_PASSES):
                passed = self._pass(run_id, [key for place in (queue, to) if place for key in (place, turns_of(place))])
                found += passed
                if not passed:
                    break
        return found

    def _pass(self, run_id: RunId, keys: list[str]) -> int:
        found, end = 0, self._redis.llen(keys[0])
        while end > 0:
            start = max(0, end - _AT_ONCE)
            arguments = [f"{self._ledger}-{run_id}", start, end - start, COUNTS, HISTORIES]
            found += cast("int", self._script(keys, arguments))
            end = start
        return found
