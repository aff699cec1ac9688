"""Intake: from a message to an item that can be asked, or to the reason why it cannot."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.errors import Rejected
from persqa.images import ImageLimits, load_image
from persqa.items import ItemId
from worker.batching import Batcher
from worker.image_cache import ImageCache
from worker.outages import retrying

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Event

    from PIL.Image import Image

    from persqa.images import Resolution
    from persqa.messages import ItemMessage
    from persqa.settings import Settings
    from persqa.store.results import Results

# Looking up what has ended delays an item by this much at most.
_LOOKUP_SECONDS = 0.01
#: Decoded images kept for the next items that ask about them.
_CACHED_BYTES = 128 * 2**20


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

    def __init__(self, results: Results, settings: Settings, *, resolution: Resolution | None, stop: Event) -> None:
        """Prepare.

        Args:
            results: asked what has ended.
            settings: limits and sizes.
            resolution: how much of an image is needed.
            stop: set when the worker is to stop; ends the wait for a database that does not answer.
        """
        self._stop = stop
        self._settings = settings
        self._resolution = resolution
        self._images = ImageCache(self._load, threads=settings.image_threads, most_bytes=_CACHED_BYTES)
        self._results = results
        self._lookup: Batcher[ItemId, bool] = Batcher(
            self._ended, name="persqa-lookup", size=settings.window, seconds=_LOOKUP_SECONDS
        )

    async def has_ended(self, message: ItemMessage) -> bool:
        """Whether the item has a result: its message is a copy, or its worker died between commit and acknowledgement.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        return await self._lookup.submit(ItemId(message.item))

    async def admit(self, message: ItemMessage) -> Refused | Admitted:
        """Load the images of one item."""
        started = time.monotonic()
        try:
            images = [await self._images.get(message.base, reference) for reference in message.images]
        except Rejected as rejected:
            return Refused(rejected)
        return Admitted(message=message, images=images, image_seconds=time.monotonic() - started)

    def close(self) -> None:
        """End the threads."""
        self._lookup.close()
        self._images.close()

    def _ended(self, item_ids: Sequence[ItemId]) -> list[bool]:
        ended = retrying(lambda: self._results.ended(item_ids), stop=self._stop)
        return [item_id in ended for item_id in item_ids]

    def _load(self, base: str, reference: str) -> Image:
        folder = Path(base)
        limits = ImageLimits(
            roots=tuple(self._settings.image_roots) or (folder,),
            max_pixels=self._settings.max_image_pixels,
            max_bytes=self._settings.max_image_bytes,
        )
        return load_image(reference, base=folder, limits=limits, resolution=self._resolution)
