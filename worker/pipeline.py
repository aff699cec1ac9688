"""The way of one item through a worker, on one screen.

    delivery -> read -> intake -> answerer -> committer -> acknowledge

Each step returns a value, and what is wrong with one item is a value too. Only what is wrong with the world raises,
and then nothing is acknowledged: the message stays in Redis for whoever comes next.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, assert_never

from persqa.errors import EngineLost, Infrastructure
from persqa.logs import ABOUT, About
from persqa.reasons import Reason
from worker.deliveries import Delivery, UnreadableDelivery
from worker.intake import Admitted, Refused
from worker.outages import outlasting
from worker.trials.lanes import Lanes
from worker.trials.suspicion import Suspicion
from worker.trials.time_limits import TimeLimits

if TYPE_CHECKING:
    from persqa.messages import ItemMessage
    from persqa.results import Outcome
    from worker.answerer import Answerer
    from worker.committer import Committer
    from worker.dead_letters import DeadLetters
    from worker.engines.supervisor import Supervisor
    from worker.intake import Intake

logger = logging.getLogger(__name__)


class Pipeline:
    """Takes deliveries, many at a time; each goes its way alone."""

    def __init__(
        self,
        intake: Intake,
        answerer: Answerer,
        committer: Committer,
        *,
        engine: Supervisor,
        dead_letters: DeadLetters,
    ) -> None:
        """Prepare.

        Args:
            intake: the first step.
            answerer: the second.
            committer: the third.
            engine: what the answerer asks.
            dead_letters: where messages go that carry no item.
        """
        self._intake = intake
        self._answerer = answerer
        self._committer = committer
        self._dead_letters = dead_letters
        self._engine = engine
        self._lanes = Lanes()
        self._time_limits = TimeLimits()

    async def process(self, delivery: Delivery) -> None:
        """Take one item from its message to its committed result.

        Raises:
            Infrastructure: the engine or the database is gone; the message was not acknowledged.
        """
        try:
            message = delivery.read()
        except UnreadableDelivery as error:
            await self._refuse(delivery, error)
        else:
            ABOUT.set(About(run=message.run, item=message.item))
            outcome = await self._end(message, delivery)
            if outcome is not None and outcome.result.reason is Reason.TIME_LIMIT:
                delivery.time_out()
                return
        delivery.acknowledge()

    async def _refuse(self, delivery: Delivery, error: UnreadableDelivery) -> None:
        text = json.dumps(delivery.arguments)
        written = self._dead_letters.bury(error.reason, str(error), text=text, task_id=delivery.task_id)
        await asyncio.wrap_future(written)

    async def _end(self, message: ItemMessage, delivery: Delivery) -> Outcome | None:
        """Commit what becomes of an item, however often the engine dies under it; nothing if nobody wants it."""
        suspicion = Suspicion(delivery.count, delivery.history)
        if suspicion.delivered_too_often:
            return await self._give_up(message, Reason.KILLS_WORKERS, suspicion)
        while True:
            alone = False
            try:
                async with self._lanes.lane(suspicion.company, rank=suspicion.rank) as alone:
                    await self._engine.ready()
                    # The commit, too, in its lane: before the next one that may kill this worker is tried.
                    return await self._try(message, delivery, suspicion)
            except EngineLost as error:
                if error.asked:
                    suspicion.engine_died(str(error), answered=self._engine.answered, alone=alone)
            if suspicion.proven:
                return await self._give_up(message, Reason.KILLS_ENGINE, suspicion)
            if suspicion.died_alone:
                delivery.suspect()

    async def _try(self, message: ItemMessage, delivery: Delivery, suspicion: Suspicion) -> Outcome | None:
        if not await self._intake.wants(message):
            return None
        if suspicion.of_killing_workers:
            await asyncio.wrap_future(delivery.count_trial())
        return await self._commit(await outlasting(lambda: self._answer(message, delivery.seconds)))

    async def _give_up(self, message: ItemMessage, reason: Reason, suspicion: Suspicion) -> Outcome | None:
        return await self._commit(self._answerer.give_up(message, reason, suspicion.story))

    async def _commit(self, outcome: Outcome) -> Outcome:
        await self._committer.commit(outcome)
        return outcome

    async def _answer(self, message: ItemMessage, seconds: float | None) -> Outcome:
        # What the item does is limited; what the database and the engine's restarts take is not its fault.
        limit: asyncio.Timeout | None = None
        try:
            async with self._time_limits.limit(seconds) as limit:
                match await self._intake.admit(message):
                    case Refused(rejected):
                        return self._answerer.refuse(message, rejected)
                    case Admitted() as admitted:
                        return await self._answerer.answer(admitted)
                    case never:
                        assert_never(never)
        except (EngineLost, Infrastructure):
            raise
        except TimeoutError as error:
            if limit is not None and limit.expired():
                return self._answerer.give_up(message, Reason.TIME_LIMIT, f"not answered within {seconds:g} s")
            return self._defect(message, error)
        except Exception as error:  # noqa: BLE001 - one item's defect is not its neighbours'
            return self._defect(message, error)

    def _defect(self, message: ItemMessage, error: Exception) -> Outcome:
        logger.error("item %d: a defect of PersQA, the item ends as dead", message.item, exc_info=error)
        return self._answerer.give_up(message, Reason.INTERNAL_ERROR, str(error) or repr(error))
