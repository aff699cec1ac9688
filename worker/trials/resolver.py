"""Resolver: finds the outcome of one item, whatever happens to the engine, to its images, or in our own code.

Engines and workers may die of an item. So each item runs in a lane, where it can harm as few others as need be. When
the engine dies, the item is asked again, until there is an answer, or proof that the item is to blame.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from persqa.errors import EngineLost, Infrastructure, Rejected, shortage
from persqa.reasons import Reason
from worker.intake import Admitted
from worker.process.retries import retry_blobs
from worker.trials.lanes import Lanes
from worker.trials.suspicion import Suspicion
from worker.trials.time_limits import TimeLimits

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from persqa.messages import ItemMessage
    from persqa.results import Outcome
    from worker.answerer import Answerer
    from worker.deliveries import Delivery
    from worker.engines.supervisor import Supervisor
    from worker.intake import Intake

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ended:
    """An outcome to commit, and whether the time limit ended the item."""

    outcome: Outcome
    timed_out: bool = False


class Resolver:
    """Resolves many items side by side; for one event loop. The answerer asks the same engine."""

    def __init__(self, intake: Intake, answerer: Answerer, engine: Supervisor) -> None:
        self._intake = intake
        self._answerer = answerer
        self._engine = engine
        self._lanes = Lanes()
        self._time_limits = TimeLimits()

    @asynccontextmanager
    async def resolve(self, message: ItemMessage, delivery: Delivery) -> AsyncGenerator[Ended | None]:
        """Find the outcome of an item, however often the engine dies meanwhile.

        Yields None where nobody wants the item: it has a result, or its run is paused or cancelled. The item keeps its
        lane until the block ends. Commit in the block, because the next suspect may kill this worker.

        Raises:
            DeadMessage: the item is of a run that this database does not have.
            Infrastructure: the engine or the database is gone; the item has no outcome.
        """
        suspicion = Suspicion(delivery.count, delivery.history)
        if suspicion.delivered_too_often:
            wanted = await self._intake.wants(message)
            yield self._give_up(message, Reason.KILLS_WORKERS, suspicion.story) if wanted else None
            return
        while not suspicion.proven:
            alone = False
            try:
                async with self._lanes.lane(suspicion.company, rank=suspicion.rank) as alone:
                    await self._engine.ready()
                    yield await self._attempt(message, delivery, suspicion)
                    return
            except EngineLost as error:
                if error.asked:
                    suspicion.engine_died(str(error), answered=self._engine.answered, alone=alone)
            if suspicion.died_alone:
                delivery.suspect()
        yield self._give_up(message, Reason.KILLS_ENGINE, suspicion.story)

    async def _attempt(self, message: ItemMessage, delivery: Delivery, suspicion: Suspicion) -> Ended | None:
        # Looked up now, because the item may have waited long for its lane and for the engine.
        if not await self._intake.wants(message):
            return None
        if suspicion.of_killing_workers:
            await asyncio.wrap_future(delivery.count_trial())
        return await retry_blobs(lambda: self._answer_in_time(message, delivery.seconds))

    async def _answer_in_time(self, message: ItemMessage, seconds: float | None) -> Ended:
        # The limit is for the item itself, and not for outages of the database or restarts of the engine.
        limit: asyncio.Timeout | None = None
        try:
            async with self._time_limits.limit(seconds) as limit, self._intake.admit(message) as found:
                match found:
                    case Rejected() as rejected:
                        return Ended(self._answerer.refuse(message, rejected))
                    case Admitted() as admitted:
                        return Ended(await self._answerer.answer(admitted))
                    case never:
                        assert_never(never)
        except (EngineLost, Infrastructure):
            raise
        except Exception as error:
            if isinstance(error, TimeoutError) and limit is not None and limit.expired():
                said = f"not answered within {seconds:g} s (PERSQA_ITEM_SECONDS)"
                outcome = self._answerer.give_up(message, Reason.TIME_LIMIT, said)
                return Ended(outcome, timed_out=True)
            if (lacking := shortage(error)) is not None:
                raise lacking from error
            logger.error("item %d: a defect of PersQA, the item ends as dead", message.item, exc_info=error)
            return self._give_up(message, Reason.INTERNAL_ERROR, str(error) or repr(error))

    def _give_up(self, message: ItemMessage, reason: Reason, detail: str) -> Ended:
        return Ended(self._answerer.give_up(message, reason, detail))
