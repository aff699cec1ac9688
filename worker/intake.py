"""Intake: whether an item is wanted, and its images, or the reason why it cannot be asked."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from persqa.errors import Rejected
from persqa.reasons import Reason
from persqa.store import Want
from worker.images.budget import Budget, give_back_at_once
from worker.images.cache import ImageCache
from worker.images.loader import ImageLoader, NamedImage
from worker.parsing import DeadMessage
from worker.process import metrics
from worker.process.batching import Batcher
from worker.process.retries import retry_database

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from threading import Event

    from persqa.images import Resolution
    from persqa.messages import Asked, ItemMessage
    from persqa.settings import Settings
    from persqa.store import Store
    from worker.pictures import Picture, Prepares

#: Longest time that an item waits to be looked up together with others.
_LOOKUP_SECONDS = 0.01
#: Size of the decoded images that are kept for the next items, though no item in hand asks about them.
_KEPT_BYTES = 128 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """The item can be asked.

    Attributes:
        images: in the order of the message.
        image_seconds: how long loading them took.
    """

    message: ItemMessage
    images: Sequence[Picture]
    image_seconds: float


class Intake:
    """Says which items are wanted, and loads their images."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        resolution: Resolution | None,
        prepare: Prepares | None = None,
        stop: Event,
        in_flight: Callable[[], int] | None = None,
    ) -> None:
        """Prepare; when `stop` is set, nobody waits any longer for a database that does not answer.

        `in_flight` says how many items may still be looked up, those that wait included.

        Raises:
            SettingsError: a store of images cannot be used.
        """
        self._stop = stop
        self._results = store.results
        self._loader = ImageLoader(
            store.bad_images, settings, resolution=resolution, prepare=prepare, stop=stop, in_flight=in_flight
        )
        give_back_at_once()
        budget = Budget(settings.image_memory_bytes)
        metrics.IMAGE_BYTES.set_function(lambda: budget.used)
        self._images = ImageCache(self._loader.load, budget, kept_bytes=_KEPT_BYTES)
        self._lookup: Batcher[Asked, Want] = Batcher(
            self._look_up,
            name="persqa-lookup",
            size=settings.window,
            seconds=_LOOKUP_SECONDS,
            in_flight=in_flight,
        )

    async def wants(self, message: ItemMessage) -> bool:
        """Whether to begin with the item.

        An item with a result is not wanted: the message is a copy, or its worker died between commit and
        acknowledgement. Nor is an item of a paused or cancelled run: it stays pending in the ledger, and `resume`
        enqueues it again. Nor is one of a deleted run.

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

    @asynccontextmanager
    async def admit(self, message: ItemMessage) -> AsyncGenerator[Admitted | Rejected]:
        """Load the images of one item, and hold them for the time of the block.

        Yields why the item cannot be asked where one of them cannot be used.

        Raises:
            BlobsUnavailable: the blob store does not answer.
            Infrastructure: this machine is short of something.
        """
        started = time.monotonic()
        names = [NamedImage(base=message.base, reference=name, recheck=message.recheck) for name in message.images]
        async with AsyncExitStack() as held:
            try:
                pictures = await held.enter_async_context(self._images.hold(names))
                found = Admitted(message=message, images=pictures, image_seconds=time.monotonic() - started)
            except Rejected as rejected:
                found = rejected
            yield found

    def close(self) -> None:
        """End the threads."""
        self._lookup.close()
        self._loader.close()

    def _look_up(self, asked: Sequence[Asked]) -> list[Want]:
        return retry_database(lambda: self._results.wanted(asked), stop=self._stop)
