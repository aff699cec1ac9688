"""Pictures: images in hand, as an engine gets them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from PIL.Image import Image

#: Pillow takes four bytes for a pixel of three colours.
_PIXEL_BYTES = 4


class Prepared(Protocol):
    """What an engine has made of an image, and takes in its place."""

    @property
    def nbytes(self) -> int:
        """The size of it."""
        ...


class Prepares(Protocol):
    """Makes of images what an engine takes in their place; called in many threads at once."""

    @property
    def most_bytes(self) -> int:
        """How much memory it takes for an image at most, beyond the image itself."""
        ...

    def __call__(self, image: Image) -> Prepared:
        """Prepare one RGB image.

        Raises:
            Rejected: the model does not take such an image.
        """
        ...


@dataclass(frozen=True, slots=True)
class Picture:
    """One image in hand.

    Attributes:
        digest: that of the file's content: two pictures with the same one are the same.
        pixels: decoded, RGB; or what the engine has made of it.
    """

    digest: str
    pixels: Image | Prepared

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        pixels = self.pixels
        return pixels.width * pixels.height * _PIXEL_BYTES if isinstance(pixels, Image) else pixels.nbytes
