"""ImageLoader: from a reference to an image, unless its content is known to be broken."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import AvifImagePlugin

from persqa.blobs import BlobStore, open_file_system, parse_blob_reference
from persqa.errors import Rejected, StoreUnavailable
from persqa.flags import look_at
from persqa.images import (
    ImageLimits,
    check_web,
    decode_image,
    decoding_bytes,
    is_remote,
    read_image,
    shown_reference,
)
from worker.pictures import Picture
from worker.process.batching import Batcher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from threading import Event

    from persqa.bad_images import BadImage
    from persqa.images import Content, Resolution
    from persqa.settings import Settings
    from persqa.store.bad_images import BadImages
    from worker.images.budget import Share
    from worker.pictures import Prepares

logger = logging.getLogger(__name__)

#: Longest time that an image waits to be looked up together with others.
_LOOKUP_SECONDS = 0.01
#: All threads that read together have this part of the memory of images reserved, at most: a third.
_READING_PART = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedImage:
    """One image that an item asks about.

    Attributes:
        base: the folder of the data.
        reference: where the image is, as in the message.
        recheck: whether to try it although its content is known to be broken.
    """

    base: str
    reference: str
    recheck: bool = False


class ImageLoader:
    """Reads and decodes in threads of its own; other threads wait for servers, so slow ones do not block decoding."""

    def __init__(
        self,
        bad_images: BadImages,
        settings: Settings,
        *,
        resolution: Resolution | None,
        prepare: Prepares | None = None,
        stop: Event,
        in_flight: Callable[[], int] | None = None,
    ) -> None:
        """Prepare; when `stop` is set, nobody waits any longer for a server.

        `in_flight` says how many items may still have images looked up, those that wait included.

        Raises:
            SettingsError: the blob store or one of the image stores cannot be used, or a library is missing.
        """
        if settings.image_hosts:
            check_web()
        for prefix in settings.image_stores:
            open_file_system(prefix, what="the image store")
        self._limits = ImageLimits.of(settings)
        self._resolution = resolution
        self._prepare = prepare
        self._preparing_bytes = prepare.most_bytes if prepare else 0
        # What is being read has all the room it may need, unless that would keep threads from reading.
        threads = settings.image_threads + settings.fetch_threads
        self._reading_bytes = min(settings.max_image_bytes, settings.image_memory_bytes // (_READING_PART * threads))
        self._stop = stop
        self._blobs = BlobStore(settings.blob_store)
        self._bad_images = bad_images
        # By itself each decoder of AVIF has a thread for each core.
        AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # pyrefly: ignore[bad-assignment] - its stub has only the default
        self._threads = ThreadPoolExecutor(settings.image_threads, thread_name_prefix="persqa-images")
        self._fetching = ThreadPoolExecutor(settings.fetch_threads, thread_name_prefix="persqa-fetch")
        self._lookup: Batcher[tuple[str, bool], BadImage | None] = Batcher(
            self._look_up,
            name="persqa-bad-images",
            size=settings.window,
            seconds=_LOOKUP_SECONDS,
            in_flight=in_flight,
        )

    async def load(self, image: NamedImage, share: Share) -> Picture:
        """Read and decode one image, as soon as there is room for what it takes.

        Raises:
            BadContent: its content is broken, which was not known.
            Rejected: it may not be used, or its content is known to be broken.
            BlobsUnavailable: the blob store does not answer.
            Infrastructure: this machine is short of something.
        """
        blob = parse_blob_reference(image.reference)
        if blob is not None:
            await self._refuse_known(blob[0], image)
        await share.reserve(self._reading_bytes)
        content, decoding = await self._read(image)
        share.keep(len(content.data))
        if blob is None:
            await self._refuse_known(content.digest, image)
        await share.reserve(len(content.data) + decoding + self._preparing_bytes, decodes=True)
        picture = await asyncio.get_running_loop().run_in_executor(self._threads, self._picture, content, image)
        share.keep(picture.nbytes)
        return picture

    def close(self) -> None:
        """End the threads."""
        self._lookup.close()
        for threads in (self._fetching, self._threads):
            threads.shutdown(wait=True, cancel_futures=True)

    async def _read(self, image: NamedImage) -> tuple[Content, int]:
        """The content, and how much memory decoding it takes."""

        def read() -> tuple[Content, int]:
            content = read_image(
                image.reference, base=Path(image.base), limits=self._limits, blobs=self._blobs, stop=self._stop
            )
            needed = decoding_bytes(content.data, max_pixels=self._limits.max_pixels, resolution=self._resolution)
            return content, needed

        threads = self._fetching if is_remote(image.reference) else self._threads
        return await asyncio.get_running_loop().run_in_executor(threads, read)

    def _picture(self, content: Content, image: NamedImage) -> Picture:
        decoded = decode_image(content, image.reference, limits=self._limits, resolution=self._resolution)
        return Picture(content.digest, self._prepare(decoded) if self._prepare else decoded, look_at(decoded))

    async def _refuse_known(self, digest: str, image: NamedImage) -> None:
        known = await self._lookup.submit((digest, image.recheck))
        if known is not None:
            since = f"known since {known.first_seen:%Y-%m-%d %H:%M} UTC, --recheck tries it again"
            raise Rejected(known.reason, f"{shown_reference(image.reference)}: {known.detail}; {since}")

    def _look_up(self, wanted: Sequence[tuple[str, bool]]) -> list[BadImage | None]:
        """Look up which contents are known to be broken, and forget those to be rechecked."""
        try:
            known = self._bad_images.known(digest for digest, _ in wanted)
            again = {digest for digest, recheck in wanted if recheck and digest in known}
            if again:
                self._bad_images.forget(again)
        except StoreUnavailable as error:
            # The look-up only saves work, so it does not wait for the database.
            logger.warning("what is known of broken images cannot be looked up, so they are tried: %s", error)
            return [None] * len(wanted)
        return [None if recheck else known.get(digest) for digest, recheck in wanted]
