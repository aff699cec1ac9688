"""Publishing in bulk: room in a queue, and messages for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from persqa.broker.connection import BrokerClient, translated
from persqa.broker.envelope import EnvelopeBuilder
from persqa.broker.keys import PUSHED, base_of, turns_of
from persqa.messages import item_messages, task_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persqa.items import Item
    from persqa.runs import Run


class Publisher(BrokerClient):
    """Puts items into queues, many per round trip; `persqa.enqueueing` decides when and into which queue."""

    def __init__(self, url: str, *, ledger: str, queue_bound: int) -> None:
        super().__init__(url)
        self.ledger = ledger
        self._bound = queue_bound
        self._envelopes = EnvelopeBuilder()

    def has_room(self, queue: str, number: int) -> bool:
        """Whether so many more messages may wait in the queue; an empty queue takes any number."""
        with translated(self.url):
            return self.takes(self._redis.llen(queue), number)

    def takes(self, waiting: int, number: int) -> bool:
        """Whether a queue in which some messages wait takes so many more."""
        return waiting + number <= max(self._bound, number)

    def entries(self, batch: Sequence[Item], run: Run, queue: str) -> list[str]:
        """Build the messages of some items of a run, without sending them."""
        now, base = time.time(), base_of(queue)
        messages = zip(batch, item_messages(batch, run, ledger=self.ledger), strict=True)
        return [
            self._envelopes.build(task_id(self.ledger, item.id), message, queue=base, enqueued_at=now)
            for item, message in messages
        ]

    def push(self, queue: str, entries: Sequence[str]) -> int:
        """Send the messages, all or none; after an error none was sent, as far as is known.

        Idle workers are woken. Returns how many messages wait in the queue now.
        """
        base = base_of(queue)
        steps = self._redis.pipeline()
        steps.lpush(queue, *entries)
        if queue != base:
            # Below all who were served already: a run that was idle comes first.
            steps.zadd(turns_of(queue), {queue: 0}, nx=True)
        steps.publish(f"{PUSHED}:{base}", len(entries))
        with translated(self.url):
            return cast("int", steps.execute()[0])
