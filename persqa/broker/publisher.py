"""Publishing in bulk: room in a queue, and messages for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from persqa.broker.connection import BrokerClient, translated
from persqa.broker.envelope import EnvelopeBuilder
from persqa.messages import item_messages, task_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persqa.items import Item
    from persqa.runs import Run


class Publisher(BrokerClient):
    """Puts items into queues, many per round trip; `persqa.enqueueing` decides when and into which queue."""

    def __init__(self, url: str, *, ledger: str, queue_bound: int) -> None:
        super().__init__(url)
        self._ledger = ledger
        self._bound = queue_bound
        self._envelopes = EnvelopeBuilder()

    def has_room(self, queue: str, number: int) -> bool:
        """Whether so many more messages may wait in the queue; an empty queue takes any number."""
        with translated(self.url):
            return self._redis.llen(queue) + number <= max(self._bound, number)

    def entries(self, batch: Sequence[Item], run: Run, queue: str) -> list[str]:
        """Build the messages of some items of a run, without sending them."""
        now = time.time()
        messages = zip(batch, item_messages(batch, run, ledger=self._ledger), strict=True)
        return [
            self._envelopes.build(task_id(self._ledger, item.id), message, queue=queue, enqueued_at=now)
            for item, message in messages
        ]

    def push(self, queue: str, entries: Sequence[str]) -> None:
        """Send the messages, all or none; after an error none was sent, as far as is known."""
        with translated(self.url):
            self._redis.lpush(queue, *entries)
