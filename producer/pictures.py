"""Pictures: images of items as small JPEGs, encoded anew, so that no byte of a stranger's file is passed on.

They are read through the same door as the worker's, with the same limits.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path
from threading import Semaphore
from typing import TYPE_CHECKING

from persqa.blobs import BlobStore
from persqa.images import ImageLimits, Resolution, decode_image, read_image

if TYPE_CHECKING:
    from persqa.runs import Run
    from persqa.settings import Settings

#: Images in memory at once while they are decoded.
_AT_ONCE = 2


class Pictures:
    """Makes pictures of one run, inside of addresses of their own: `data:` URIs."""

    def __init__(self, settings: Settings, run: Run, *, side: int, quality: int) -> None:
        """Prepare.

        Args:
            settings: where images may come from, and how large they may be.
            run: its folder is where relative paths start.
            side: the longest one of a picture, in pixels.
            quality: that of a JPEG.
        """
        self._limits = ImageLimits.of(settings)
        self._blobs = BlobStore(settings.blob_store)
        self._base = Path(run.base)
        self._side, self._quality = side, quality
        self._decoding = Semaphore(_AT_ONCE)

    def of(self, reference: str) -> str:
        """The picture that a reference names.

        Raises:
            Rejected: it names nothing that may be shown, or no image.
            Infrastructure: the blob store or this machine fails.
        """
        content = read_image(reference, base=self._base, limits=self._limits, blobs=self._blobs)
        with self._decoding:
            image = decode_image(content, reference, limits=self._limits, resolution=Resolution(edge=self._side))
            image.thumbnail((self._side, self._side))
            file = io.BytesIO()
            image.save(file, "JPEG", quality=self._quality)
        return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
