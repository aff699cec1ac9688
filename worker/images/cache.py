"""ImageCache: loads an image once for several items, which are neighbours in the queue."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from PIL.Image import Image

    from worker.images.loader import NamedImage

_BYTES_PER_PIXEL = 3


class ImageCache:
    """Keeps the images that were loaded last, up to `most_bytes` of decoded pixels; for one event loop."""

    def __init__(self, load: Callable[[NamedImage], Coroutine[Any, Any, Image]], *, most_bytes: int) -> None:
        self._load = load
        self._most_bytes = most_bytes
        self._bytes = 0
        self._images: OrderedDict[NamedImage, asyncio.Task[Image]] = OrderedDict()

    async def get(self, image: NamedImage) -> Image:
        """Get an image; all that wait for it get what `load` raises, which is not kept."""
        loading = self._images.get(image)
        if loading is None:
            loading = self._images[image] = asyncio.create_task(self._load(image))
            loading.add_done_callback(lambda loaded: self._keep(image, loaded))
        else:
            self._images.move_to_end(image)
        # Shielded, because one that stops waiting must not end the loading for others.
        return await asyncio.shield(loading)

    def _keep(self, image: NamedImage, loaded: asyncio.Task[Image]) -> None:
        if loaded.cancelled() or loaded.exception() is not None:
            del self._images[image]
            return
        self._bytes += _size(loaded)
        while self._bytes > self._most_bytes:
            oldest = next((key for key, task in self._images.items() if task.done()), None)
            if oldest is None:
                break
            self._bytes -= _size(self._images.pop(oldest))


def _size(loaded: asyncio.Task[Image]) -> int:
    image = loaded.result()
    return image.width * image.height * _BYTES_PER_PIXEL
