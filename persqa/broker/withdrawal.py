"""Withdrawal: one run's messages are taken out of queues, or moved to another one, while others use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from persqa.broker.connection import connect, script, translated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from persqa.runs import RunId

#: Messages that one call looks at. Redis answers nobody else meanwhile, for some 10 to 30 ms in a queue of 100,000.
_AT_ONCE = 100
#: Passes over a queue, at most. Somebody who does not know of the withdrawal may put in more for as long as they like.
_PASSES = 5


class Withdrawal:
    """Takes nothing that is in a worker's hand, and pops nothing: every step is one script that looks at a part.

    It goes from the oldest message to the newest, so that workers, who take the oldest, find little of the run. What
    they take meanwhile moves nothing that is still to be looked at, and what is put in moves it to where one has
    looked already; so it goes over the queue again until it finds nothing.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._redis = connect(url)
        self._script = script(self._redis, "withdraw")

    def withdraw(self, run_id: RunId, queues: Iterable[str]) -> int:
        """Take a run's messages out of these queues; returns how many. Safe to repeat.

        Raises:
            BrokerUnavailable: Redis does not answer; some may be out.
        """
        return sum(self._clear(run_id, queue, to=None) for queue in queues)

    def move(self, run_id: RunId, queues: Iterable[str], *, to: str) -> int:
        """Move a run's messages behind those of another queue, in their order; returns how many. Safe to repeat.

        Each is in one of the queues at every moment, so that nobody thinks that it was lost.

        Raises:
            BrokerUnavailable: Redis does not answer; some may have been moved.
        """
        return sum(self._clear(run_id, queue, to=to) for queue in queues if queue != to)

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()

    def _clear(self, run_id: RunId, queue: str, *, to: str | None) -> int:
        found = 0
        with translated(self._url):
            for _ in range(_PASSES):
                passed = self._pass(run_id, [queue] if to is None else [queue, to])
                found += passed
                if not passed:
                    break
        return found

    def _pass(self, run_id: RunId, keys: list[str]) -> int:
        found, end = 0, self._redis.llen(keys[0])
        while end > 0:
            start = max(0, end - _AT_ONCE)
            found += cast("int", self._script(keys, [run_id, start, end - start]))
            end = start
        return found
