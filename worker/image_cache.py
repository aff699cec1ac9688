"""ImageCache: an image that several items ask about, one beside the other in the queue, is loaded once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image

_BYTES_PER_PIXEL = 3


class ImageCache:
    """Loads in threads of its own, and keeps what was loaded last; for one event loop."""

    def __init__(self, load: Callable[[str, str], Image], *, threads: int, most_bytes: int) -> None:
        """Prepare.

        Args:
            load: gets the folder of the data and a reference in it, in a thread; gives an RGB image or raises.
            threads: how many images are loaded at once.
            most_bytes: of decoded pixels that are kept; those that somebody uses are not counted.
        """
        self._load = load
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="persqa-images")
        self._most_bytes = most_bytes
        self._bytes = 0
        self._images: OrderedDict[tuple[str, str], asyncio.Future[Image]] = OrderedDict()

    async def get(self, base: str, reference: str) -> Image:
        """The image; what `load` raises is raised for all that wait for it, and not kept."""
        key = base, reference
        loading = self._images.get(key)
        if loading is None:
            loading = asyncio.get_running_loop().run_in_executor(self._threads, self._load, base, reference)
            self._images[key] = loading
            loading.add_done_callback(lambda loaded: self._keep(key, loaded))
        else:
            self._images.move_to_end(key)
        # Whoever gives up waiting does so for itself.
        return await asyncio.shield(loading)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _keep(self, key: tuple[str, str], loaded: asyncio.Future[Image]) -> None:
        if loaded.cancelled() or loaded.exception() is not None:
            del self._images[key]
            return
        self._bytes += _size(loaded)
        while self._bytes > self._most_bytes:
            oldest = next((key for key, image in self._images.items() if image.done()), None)
            if oldest is None:
                break
            self._bytes -= _size(self._images.pop(oldest))


def _size(loaded: asyncio.Future[Image]) -> int:
    image = loaded.result()
    return image.width * image.height * _BYTES_PER_PIXEL
