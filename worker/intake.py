"""Intake: whether an item is wanted, and its images, or the reason why it cannot be asked."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from persqa.errors import Rejected
from persqa.reasons import Reason
from persqa.store import Want
from worker.images.cache import ImageCache
from worker.images.loader import ImageLoader, NamedImage
from worker.parsing import DeadMessage
from worker.process.batching import Batcher
from worker.retries import retry_database

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Event

    from PIL.Image import Image

    from persqa.images import Resolution
    from persqa.messages import Asked, ItemMessage
    from persqa.settings import Settings
    from persqa.store import Store

#: Longest time that an item waits to be looked up together with others.
_LOOKUP_SECONDS = 0.01
#: Size of the decoded images that are kept for the next items.
_CACHED_BYTES = 128 * 2**20


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
    """Says which items are wanted, and loads their images."""

    def __init__(self, store: Store, settings: Settings, *, resolution: Resolution | None, stop: Event) -> None:
        """Prepare; when `stop` is set, nobody waits any longer for a database that does not answer.

        Raises:
            SettingsError: a store of images cannot be used.
        """
        self._stop = stop
        self._results = store.results
        self._loader = ImageLoader(store.bad_images, settings, resolution=resolution, stop=stop)
        self._images = ImageCache(self._loader.load, most_bytes=_CACHED_BYTES)
        self._lookup: Batcher[Asked, Want] = Batcher(
            self._look_up, name="persqa-lookup", size=settings.window, seconds=_LOOKUP_SECONDS
        )

    async def wants(self, message: ItemMessage) -> bool:
        """Whether to begin with the item.

        An item with a result is not wanted: the message is a copy, or its worker died between commit and
        acknowledgement. Nor is an item of a paused or cancelled run: it stays pending in the ledger, and `resume`
        enqueues it again.

        Raises:
            DeadMessage: the item is of a run that this database does not have.
            StoreUnavailable: the database does not answer.
        """
        want = await self._lookup.submit(message.asked)
        if want is Want.UNKNOWN:
            raise DeadMessage(
                Reason.UNKNOWN_RUN, f"the database has no such run {message.run}; was it restored from a backup?"
            )
        return want is Want.YES

    async def admit(self, message: ItemMessage) -> Admitted | Rejected:
        """Load the images of one item; returns why it cannot be asked where one of them cannot be used.

        Raises:
            BlobsUnavailable: the blob store does not answer.
            Infrastructure: this machine is short of something.
        """
        started = time.monotonic()
        try:
            images = [
                await self._images.get(NamedImage(base=message.base, reference=reference, recheck=message.recheck))
                for reference in message.images
            ]
        except Rejected as rejected:
            return rejected
        return Admitted(message=message, images=images, image_seconds=time.monotonic() - started)

    def close(self) -> None:
        """End the threads."""
        self._lookup.close()
        self._loader.close()

    def _look_up(self, asked: Sequence[Asked]) -> list[Want]:
        return retry_database(lambda: self._results.wanted(asked), stop=self._stop)
