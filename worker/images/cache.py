"""ImageCache: holds the images of items in hand, and loads each once for several items, neighbours in the queue."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.images.budget import Age, Budget, Share

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
    from typing import Any

    from worker.images.loader import NamedImage
    from worker.pictures import Picture


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    image: NamedImage
    share: Share
    loading: asyncio.Task[Picture]

    @property
    def failed(self) -> bool:
        """Whether there will be no image."""
        return self.loading.done() and (self.loading.cancelled() or self.loading.exception() is not None)


class ImageCache:
    """Holds images within a budget, and keeps those that were used last, up to `kept_bytes`; for one event loop."""

    def __init__(
        self, load: Callable[[NamedImage, Share], Coroutine[Any, Any, Picture]], budget: Budget, *, kept_bytes: int
    ) -> None:
        self._load = load
        self._budget = budget
        self._budget.make_room = self._make_room
        self._kept_bytes = kept_bytes
        self._entries: dict[NamedImage, _Entry] = {}
        #: Images that no item wants at present, the one first that was used longest ago.
        self._idle: dict[_Entry, None] = {}
        self._idle_bytes = 0

    @asynccontextmanager
    async def hold(self, images: Sequence[NamedImage]) -> AsyncGenerator[list[Picture]]:
        """Load the images of one item, one after another, and hold them for the time of the block.

        All items that wait for an image get what `load` raises, which is not kept.
        """
        held: dict[NamedImage, _Entry] = {}
        with self._budget.item() as age:
            try:
                for image in images:
                    held[image] = self._enter(image, age)
                    # Shielded, because one that stops waiting must not end the loading for others.
                    await asyncio.shield(held[image].loading)
                yield [held[image].loading.result() for image in images]
            finally:
                for entry in held.values():
                    self._leave(entry, age)

    def _enter(self, image: NamedImage, age: Age) -> _Entry:
        entry = self._entries.get(image)
        # One that has failed a moment ago may still be there.
        if entry is None or entry.failed:
            share = Share(self._budget, age)
            entry = self._entries[image] = _Entry(image, share, asyncio.create_task(self._load(image, share)))
            entry.loading.add_done_callback(lambda _: self._notice(entry))
            return entry
        if entry in self._idle:
            del self._idle[entry]
            self._idle_bytes -= entry.share.size
        entry.share.join(age)
        return entry

    def _leave(self, entry: _Entry, age: Age) -> None:
        if entry.share.leave(age):
            self._remove(entry)
        elif entry.loading.done():
            self._notice(entry)

    def _notice(self, entry: _Entry) -> None:
        """Remove what has failed, and keep what nobody wants at present; an entry may come here twice."""
        if entry.failed:
            self._remove(entry)
            entry.share.keep(0)
        elif not entry.share.users and entry not in self._idle and self._entries.get(entry.image) is entry:
            self._idle[entry] = None
            self._idle_bytes += entry.share.size
            self._make_room(self._idle_bytes - self._kept_bytes)

    def _make_room(self, lacking: int) -> None:
        """Give back so many bytes of images that no item wants, as far as there are any."""
        while lacking > 0 and self._idle:
            oldest = next(iter(self._idle))
            lacking -= oldest.share.size
            self._idle_bytes -= oldest.share.size
            del self._idle[oldest]
            self._remove(oldest)
            oldest.share.keep(0)

    def _remove(self, entry: _Entry) -> None:
        # There may be a newer one by now.
        if self._entries.get(entry.image) is entry:
            del self._entries[entry.image]
