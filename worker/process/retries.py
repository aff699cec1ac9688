"""Retries while the database or the blob store does not answer; no message is acknowledged meanwhile."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, TypeVar

from persqa.errors import BlobsUnavailable, StoreUnavailable
from worker.process import metrics
from worker.process.condition import CONDITION

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from threading import Event

Answer = TypeVar("Answer")

_FIRST_SECONDS = 0.5
#: A GPU may be idle for this long after the database is back.
_LONGEST_SECONDS = 5.0

_SLOW = "the database takes long to answer, as when another program has locked it; nothing is lost, waiting"

logger = logging.getLogger(__name__)


def retry_database(call: Callable[[], Answer], *, stop: Event) -> Answer:
    """Call until the database answers, or until `stop` is set; `call` must be safe to repeat.

    Raises:
        StoreUnavailable: the database did not answer, and the worker is stopping.
    """
    pauses = _pauses("database")
    with CONDITION.hindered(slow=_SLOW) as hindered:
        while True:
            try:
                return call()
            except StoreUnavailable as error:
                if stop.is_set():
                    raise
                seconds = next(pauses)
                hindered(f"{error}; nothing is lost, trying again")
                logger.warning("%s; nothing is lost, trying again in %.1f s", error, seconds)
                stop.wait(seconds)


async def retry_blobs(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Call until the blob store answers, with the same pauses; cancel the task to stop."""
    pauses = None
    with CONDITION.hindered() as hindered:
        while True:
            try:
                return await call()
            except BlobsUnavailable as error:
                if pauses is None:
                    pauses = _pauses("blobs")
                    # Once for each item in flight is enough.
                    logger.warning("%s; nothing is lost, trying again until it answers", error)
                hindered(f"{error}; nothing is lost, trying again")
                await asyncio.sleep(next(pauses))


def _pauses(service: str) -> Iterator[float]:
    """Pauses of up to 0.5 to 5 seconds, doubled each time; the first one counts an outage."""
    metrics.OUTAGES.labels(service).inc()
    pause = _FIRST_SECONDS
    while True:
        # Workers that lost the same service should not all come back at the same moment.
        yield pause * random.uniform(0.5, 1.0)
        pause = min(pause * 2, _LONGEST_SECONDS)
