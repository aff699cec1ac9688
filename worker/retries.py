"""Retries while a database or blob store does not answer; nothing is acknowledged meanwhile, so nothing is lost."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, TypeVar

from persqa.errors import BlobsUnavailable, StoreUnavailable
from worker import metrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from threading import Event

Answer = TypeVar("Answer")

_FIRST_SECONDS = 0.5
#: A GPU may have nothing to do for this long once the database is back.
_LONGEST_SECONDS = 5.0

logger = logging.getLogger(__name__)


def retry_database(call: Callable[[], Answer], *, stop: Event) -> Answer:
    """Call until the database answers, with growing pauses of 0.5 to 5 seconds.

    Args:
        call: what to do; safe to repeat.
        stop: when set, the next failure is raised instead.

    Raises:
        StoreUnavailable: the database did not answer, and the worker is stopping.
    """
    pause = _FIRST_SECONDS
    while True:
        try:
            return call()
        except StoreUnavailable as error:
            if stop.is_set():
                raise
            if pause == _FIRST_SECONDS:
                metrics.OUTAGES.labels("database").inc()
            # Workers that lost the same database should not all come back at the same moment.
            seconds = pause * random.uniform(0.5, 1.0)
            logger.warning("%s; nothing is lost, trying again in %.1f s", error, seconds)
            stop.wait(seconds)
            pause = min(pause * 2, _LONGEST_SECONDS)


async def retry_blobs(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Call until the blob store answers, with the same pauses; whoever wants to stop it cancels the task."""
    pause = _FIRST_SECONDS
    while True:
        try:
            return await call()
        except BlobsUnavailable as error:
            if pause == _FIRST_SECONDS:
                metrics.OUTAGES.labels("blobs").inc()
                # Once for each item in flight is enough.
                logger.warning("%s; nothing is lost, trying again until it answers", error)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, _LONGEST_SECONDS)
