"""Intake: from a message to an item that can be asked, or to the reason why it cannot."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.errors import Rejected
from persqa.images import ImageLimits, load_image
from persqa.items import ItemId
from worker.batching import Batcher
from worker.outages import retrying

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Event

    from PIL.Image import Image

    from persqa.messages import ItemMessage
    from persqa.settings import Settings
    from persqa.store.results import Results

# Looking up what has ended delays an item by this much at most.
_LOOKUP_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class AlreadyEnded:
    """The item has a result: this message is a copy, or its worker died between commit and acknowledgement."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The item cannot be asked."""

    rejected: Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """The item can be asked.

    Attributes:
        images: decoded, RGB.
        image_seconds: how long loading them took.
    """

    message: ItemMessage
    images: Sequence[Image]
    image_seconds: float


class Intake:
    """Skips what has ended, and loads images in threads of its own."""

    def __init__(self, results: Results, settings: Settings, *, stop: Event) -> None:
        """Prepare.

        Args:
            results: asked what has ended.
            settings: limits and sizes.
            stop: set when the worker is to stop; ends the wait for a database that does not answer.
        """
        self._stop = stop
        self._settings = settings
        self._threads = ThreadPoolExecutor(settings.image_threads, thread_name_prefix="persqa-images")
        self._results = results
        self._lookup: Batcher[ItemId, bool] = Batcher(
            self._ended, name="persqa-lookup", size=settings.window, seconds=_LOOKUP_SECONDS
        )

    async def admit(self, message: ItemMessage) -> AlreadyEnded | Refused | Admitted:
        """Take one item in.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        if await self._lookup.submit(ItemId(message.item)):
            return AlreadyEnded()
        started = time.monotonic()
        try:
            loop = asyncio.get_running_loop()
            images = await loop.run_in_executor(self._threads, self._load, message)
        except Rejected as rejected:
            return Refused(rejected)
        return Admitted(message=message, images=images, image_seconds=time.monotonic() - started)

    def close(self) -> None:
        """End the threads."""
        self._lookup.close()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _ended(self, item_ids: Sequence[ItemId]) -> list[bool]:
        ended = retrying(lambda: self._results.ended(item_ids), stop=self._stop)
        return [item_id in ended for item_id in item_ids]

    def _load(self, message: ItemMessage) -> list[Image]:
        base = Path(message.base)
        limits = ImageLimits(
            roots=tuple(self._settings.image_roots) or (base,),
            max_pixels=self._settings.max_image_pixels,
            max_bytes=self._settings.max_image_bytes,
        )
        return [load_image(reference, base=base, limits=limits) for reference in message.images]
