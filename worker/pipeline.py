"""The way of one item through a worker, on one screen.

    delivery -> read -> intake -> answerer -> committer -> acknowledge

Each step returns a value, and what is wrong with one item is a value too. Only what is wrong with the world raises,
and then nothing is acknowledged: the message stays in Redis for whoever comes next.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, assert_never

from persqa.errors import Infrastructure
from worker.deliveries import Delivery, UnreadableDelivery
from worker.intake import Admitted, AlreadyEnded, Refused

if TYPE_CHECKING:
    from persqa.messages import ItemMessage
    from persqa.results import Outcome
    from worker.answerer import Answerer
    from worker.committer import Committer
    from worker.intake import Intake

logger = logging.getLogger(__name__)


class Pipeline:
    """Takes deliveries, many at a time; each goes its way alone."""

    def __init__(self, intake: Intake, answerer: Answerer, committer: Committer) -> None:
        self._intake = intake
        self._answerer = answerer
        self._committer = committer

    async def process(self, delivery: Delivery) -> None:
        """Take one item from its message to its committed result.

        Raises:
            Infrastructure: the engine or the database is gone; the message was not acknowledged.
        """
        try:
            message = delivery.read()
        except UnreadableDelivery as error:
            logger.error("%s; it is dropped", error)
        else:
            outcome = await self._outcome(message)
            if outcome is not None:
                await self._committer.commit(outcome)
        delivery.acknowledge()

    async def _outcome(self, message: ItemMessage) -> Outcome | None:
        try:
            match await self._intake.admit(message):
                case AlreadyEnded():
                    return None
                case Refused(rejected):
                    return self._answerer.refuse(message, rejected)
                case Admitted() as admitted:
                    return await self._answerer.answer(admitted)
                case never:
                    assert_never(never)
        except Infrastructure:
            raise
        except Exception as error:
            logger.exception("item %d: a defect of PersQA, the item ends as dead", message.item)
            return self._answerer.give_up(message, error)
