"""Pictures: loads the images that records name, in threads of its own, under the same limits as a worker."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.blobs import BlobStore
from persqa.images import ImageLimits, decode_image, read_image

if TYPE_CHECKING:
    from PIL.Image import Image

    from persqa.images import Resolution
    from persqa.settings import Settings


class Pictures:
    """For one event loop."""

    def __init__(self, settings: Settings) -> None:
        """Keep the limits.

        Raises:
            SettingsError: the blob store cannot be used.
        """
        self._limits = ImageLimits(
            roots=tuple(settings.image_roots),
            max_pixels=settings.max_image_pixels,
            max_bytes=settings.max_image_bytes,
            hosts=tuple(settings.image_hosts),
            stores=tuple(settings.image_stores),
            allow_private=settings.image_allow_private,
            seconds=settings.image_seconds,
        )
        self._blobs = BlobStore(settings.blob_store)
        self._threads = ThreadPoolExecutor(settings.image_threads, thread_name_prefix="persqa-images")

    async def load(self, reference: str, *, base: str, resolution: Resolution | None) -> Image:
        """Load one image.

        Raises:
            Rejected: the reference names no image that may be used.
            BlobsUnavailable: the blob store does not answer.
            Infrastructure: this process or machine is short of something.
        """

        def load() -> Image:
            content = read_image(reference, base=Path(base), limits=self._limits, blobs=self._blobs)
            return decode_image(content, reference, limits=self._limits, resolution=resolution)

        return await asyncio.get_running_loop().run_in_executor(self._threads, load)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)
