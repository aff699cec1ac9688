"""Pictures: images of items, scaled and encoded anew, so that no byte of a stranger's file reaches a browser.

They are asked for by item only, and read through the same door as the worker's, with the same limits.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Semaphore
from typing import TYPE_CHECKING

from persqa.blobs import BlobStore
from persqa.images import ImageLimits, Resolution, decode_image, read_image

if TYPE_CHECKING:
    from persqa.runs import Run
    from persqa.settings import Settings

#: Longest sides, in pixels.
SIDES = {"thumb": 320, "screen": 1600, "full": 8000}
_CACHE_BYTES = 96 * 2**20
#: Images in memory at once while they are decoded.
_AT_ONCE = 2
_QUALITY = {"thumb": 80, "screen": 88, "full": 92}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An encoded picture, and its media type."""

    data: bytes
    kind: str = "image/jpeg"


class Pictures:
    """Makes pictures, and keeps those that were asked for last."""

    def __init__(self, settings: Settings) -> None:
        self._limits = ImageLimits.of(settings)
        self._blobs = BlobStore(settings.blob_store)
        self._kept: OrderedDict[tuple[str, str, str], Picture] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()
        self._decoding = Semaphore(_AT_ONCE)

    def get(self, run: Run, reference: str, size: str) -> Picture:
        """The picture that a reference of an item of this run names.

        Args:
            run: its folder is where relative paths start.
            reference: one of `items.images`.
            size: one of `SIDES`.

        Raises:
            Rejected: it names nothing that may be shown, or no image.
            Infrastructure: the blob store or this machine fails.
        """
        key = run.key, reference, size
        with self._lock:
            if found := self._kept.get(key):
                self._kept.move_to_end(key)
                return found
        made = self.make(run, reference, side=SIDES[size], quality=_QUALITY[size])
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made
                self._bytes += len(made.data)
            while self._bytes > _CACHE_BYTES:
                self._bytes -= len(self._kept.popitem(last=False)[1].data)
        return made

    def make(self, run: Run, reference: str, *, side: int, quality: int) -> Picture:
        """As `get`, made anew and not kept; `side` is the longest one in pixels, `quality` that of a JPEG."""
        content = read_image(reference, base=Path(run.base), limits=self._limits, blobs=self._blobs)
        with self._decoding:
            image = decode_image(content, reference, limits=self._limits, resolution=Resolution(edge=side))
            image.thumbnail((side, side))
            file = io.BytesIO()
            image.save(file, "JPEG", quality=quality)
        return Picture(data=file.getvalue())
