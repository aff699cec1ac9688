"""SpotChecker: asks a few questions once more, otherwise, after their results are stored.

The message of the item is still in this worker's hand, and its result is in the database: so whatever becomes of a
check, no item is lost, doubled or held up. A check that a crash interrupts is not asked again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from persqa.errors import EngineDead, EngineLost, Rejected, StoreUnavailable
from persqa.flags import flags_of_answer
from persqa.items import MAX_ITEMS
from persqa.prompts import human_turn
from persqa.reasons import Reason
from persqa.results import Status
from persqa.spot_checks import Check, checks_of, draw_number
from persqa.store.spot_checks import SpotCheck
from persqa.tags import Tag
from persqa.verdicts import judge
from worker.engines.engine import Request
from worker.process.retries import retry_database
from worker.trials.time_limits import TimeLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from threading import Event
    from typing import TypeVar

    from persqa.messages import ItemMessage
    from persqa.results import Result
    from persqa.store import Store
    from worker.engines.engine import Generates
    from worker.intake import Intake
    from worker.pictures import Picture

    Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)


class SpotChecker:
    """Asks the same engine as the answerer; for one event loop."""

    def __init__(self, intake: Intake, engine: Generates, store: Store, *, stop: Event) -> None:
        """Prepare; when `stop` is set, nobody waits any longer for a database that does not answer."""
        self._intake = intake
        self._engine = engine
        self._checks = store.spot_checks
        self._stop = stop
        self._time_limits = TimeLimits()
        # A thread comes with the first check.
        self._thread = ThreadPoolExecutor(1, "persqa-checks")

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(cancel_futures=True)

    async def ask(self, message: ItemMessage, result: Result, *, seconds: float | None) -> None:
        """Ask the checks of an item, if it has any, and store them.

        Args:
            message: of the item.
            result: its result, which is stored.
            seconds: time limit for each; None for no limit.

        Raises:
            EngineDead: the engine is gone for good.
            StoreUnavailable: the database does not answer, and the worker is stopping.
        """
        if not message.spot_check or result.answer is None:
            return
        chosen = checks_of(message.spot_check, seed=message.seed, index=message.item % MAX_ITEMS)
        asked = [await self._try(check, message, result, seconds) for check in chosen]
        if found := [check for check in asked if check is not None]:
            await self._in_thread(partial(self._checks.add, found, requeues=message.requeues))

    async def _try(self, check: Check, message: ItemMessage, result: Result, seconds: float | None) -> SpotCheck | None:
        """Ask one check; None where it came to nothing, which the item must not suffer from."""
        seed = draw_number(message.seed, message.item, check, message.requeues)
        empty = SpotCheck(
            item_id=message.item,
            run_id=message.run,
            check=check,
            status=Status.INVALID,
            seed=seed,
            model=self._engine.model,
        )
        try:
            async with self._time_limits.limit(seconds):
                return await self._ask(empty, message, result)
        except Rejected as rejected:
            return replace(empty, reason=rejected.reason)
        except TimeoutError:
            return replace(empty, status=Status.DEAD, reason=Reason.TIME_LIMIT)
        except (EngineDead, StoreUnavailable):
            raise
        except EngineLost:
            logger.info("item %d: the engine died, so its spot check %s is left out", message.item, check)
        except Exception as error:
            logger.warning("item %d: its spot check %s failed and is left out", message.item, check, exc_info=error)
        return None

    async def _ask(self, empty: SpotCheck, message: ItemMessage, result: Result) -> SpotCheck:
        if empty.check is not Check.AGAIN and not message.images:
            return replace(empty, reason=_NO_PICTURE)
        match empty.check:
            case Check.BLIND:
                return await self._generate(empty, message, result, ())
            case Check.AGAIN:
                asked = message
            case Check.SWAPPED:
                images = await self._other_images(message, empty.seed)
                if not images:
                    return replace(empty, reason=_NO_PICTURE)
                asked = message.model_copy(update={"images": list(images)})
        async with self._intake.admit(asked) as admitted:
            if isinstance(admitted, Rejected):
                raise admitted
            return await self._generate(empty, message, result, admitted.images)

    async def _other_images(self, message: ItemMessage, number: int) -> tuple[str, ...]:
        find = self._checks.other_images
        return await self._in_thread(partial(find, message.run, message.item, message.images, number=number))

    async def _generate(
        self, empty: SpotCheck, message: ItemMessage, result: Result, images: Sequence[Picture]
    ) -> SpotCheck:
        started, tag = time.monotonic(), Tag(message.tag)
        # In the way in which the answer came about, so that they differ in what is checked alone.
        forced = result.rung is not None and result.rung.forced
        request = Request(
            request_id=f"{message.item}-{empty.check}-{empty.seed}",
            system=message.system,
            user=human_turn(tag, message.question),
            prefill=tag if forced else "",
            images=images,
            sampling=message.sampling,
            seed=empty.seed,
        )
        generation = await self._engine.generate(request)
        kind = judge(generation, tag=tag, question=message.question)
        return replace(
            empty,
            status=Status.OK if kind is None else Status.NONCOMPLIANT,
            reason=kind,
            answer=generation.text,
            flags=flags_of_answer(
                generation.text, question=message.question, tag=tag, finish_reason=generation.finish_reason
            ),
            output_tokens=generation.output_tokens,
            engine_seconds=time.monotonic() - started,
        )

    async def _in_thread(self, call: Callable[[], Answer]) -> Answer:
        retrying = partial(retry_database, call, stop=self._stop)
        return await asyncio.get_running_loop().run_in_executor(self._thread, retrying)


#: There is none to leave out, or no other one in the run.
_NO_PICTURE = "no_picture"
