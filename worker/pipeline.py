"""The way of one item through a worker, on one screen.

    delivery -> read -> wanted? -> resolve -> commit -> acknowledge

Each step returns a value, and what is wrong with one item is a value too. Only what is wrong with the world raises.
Nothing is acknowledged then: the message stays in Redis for whoever comes next.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, assert_never

from persqa.logs import ABOUT, About
from worker.parsing import DeadMessage
from worker.trials.resolver import Ended, Unwanted

if TYPE_CHECKING:
    from worker.committer import Committer
    from worker.dead_letters import DeadLetters
    from worker.deliveries import Delivery
    from worker.trials.resolver import Resolver


class Pipeline:
    """Takes deliveries, many at a time; each goes its way alone."""

    def __init__(self, resolver: Resolver, committer: Committer, dead_letters: DeadLetters) -> None:
        """Prepare.

        Args:
            resolver: finds out what becomes of an item.
            committer: stores it.
            dead_letters: stores messages that carry no item.
        """
        self._resolver = resolver
        self._committer = committer
        self._dead_letters = dead_letters

    async def process(self, delivery: Delivery) -> None:
        """Take one item from its message to its committed result.

        Raises:
            Infrastructure: the engine or the database is gone; the message was not acknowledged.
        """
        try:
            message = delivery.read()
        except DeadMessage as dead:
            await self._bury(delivery, dead)
            delivery.acknowledge()
            return
        ABOUT.set(About(run=message.run, item=message.item))
        timed_out = False
        async with self._resolver.resolve(message, delivery) as resolved:
            match resolved:
                case Unwanted():
                    pass
                case Ended(outcome, timed_out):
                    await self._committer.commit(outcome)
                case never:
                    assert_never(never)
        delivery.acknowledge(timed_out=timed_out)

    async def _bury(self, delivery: Delivery, dead: DeadMessage) -> None:
        text = json.dumps(delivery.arguments)
        await asyncio.wrap_future(self._dead_letters.bury(dead, text=text, task_id=delivery.task_id))
