"""The way of one item through a worker, on one screen.

    delivery -> read -> wanted? -> resolve -> commit -> spot checks, of a few -> acknowledge

Each step returns a value, also for an item that cannot be answered. An exception means that the database or the engine
is gone. The message then stays in Redis, unacknowledged, for another worker.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from persqa.logs import ABOUT, About
from worker.parsing import DeadMessage, parse_item

if TYPE_CHECKING:
    from worker.committer import Committer
    from worker.dead_letters import DeadLetters
    from worker.deliveries import Delivery
    from worker.spot_checks import SpotChecker
    from worker.trials.resolver import Resolver


class Pipeline:
    """Processes many deliveries side by side."""

    def __init__(
        self, resolver: Resolver, committer: Committer, dead_letters: DeadLetters, spot_checks: SpotChecker
    ) -> None:
        self._resolver = resolver
        self._committer = committer
        self._spot_checks = spot_checks
        self._dead_letters = dead_letters

    async def process(self, delivery: Delivery) -> None:
        """Take one item from its message to its committed result.

        Raises:
            Infrastructure: the engine or the database is gone; the message was not acknowledged.
        """
        ended = None
        try:
            message = parse_item(delivery.arguments)
            ABOUT.set(About(run=message.run, item=message.item))
            async with self._resolver.resolve(message, delivery) as ended:
                if ended is not None:
                    await self._committer.commit(replace(ended.outcome, requeues=message.requeues))
            if ended is not None:
                await self._spot_checks.ask(message, ended.outcome.result, seconds=delivery.seconds)
        except DeadMessage as dead:
            await self._bury(delivery, dead)
        delivery.acknowledge(timed_out=ended is not None and ended.timed_out)

    async def _bury(self, delivery: Delivery, dead: DeadMessage) -> None:
        text = json.dumps(delivery.arguments)
        await asyncio.wrap_future(self._dead_letters.bury(dead, text=text, task_id=delivery.task_id))
