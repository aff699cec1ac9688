"""ImageCache: an image that several items ask about, one beside the other in the queue, is loaded once."""

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
    """Keeps what was loaded last; for one event loop."""

    def __init__(self, load: Callable[[NamedImage], Coroutine[Any, Any, Image]], *, most_bytes: int) -> None:
        """Prepare.

        Args:
            load: gives an RGB image or raises.
            most_bytes: of decoded pixels that are kept; those that somebody uses are not counted.
        """
        self._load = load
        self._most_bytes = most_bytes
        self._bytes = 0
        self._images: OrderedDict[NamedImage, asyncio.Task[Image]] = OrderedDict()

    async def get(self, image: NamedImage) -> Image:
        """The image; what `load` raises is raised for all that wait for it, and not kept."""
        loading = self._images.get(image)
        if loading is None:
            loading = self._images[image] = asyncio.create_task(self._load(image))
            loading.add_done_callback(lambda loaded: self._keep(image, loaded))
        else:
            self._images.move_to_end(image)
        # Whoever gives up waiting does so for itself.
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
