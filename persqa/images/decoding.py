"""Decoding images that somebody else made: sizes are checked before anything large is allocated."""

from __future__ import annotations

import re
import struct
from io import BytesIO

from PIL import ExifTags, Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from persqa.errors import Rejected
from persqa.images.limits import Resolution
from persqa.images.naming import printable
from persqa.reasons import Reason

# Recognised by the first bytes. The readers are called directly because `Image.open` measures every picture
# against a limit that is global to the process, and warns or raises by that limit and not by ours.
_FORMATS: tuple[tuple[str, re.Pattern[bytes], type[ImageFile]], ...] = (
    ("JPEG", re.compile(rb"\xff\xd8\xff"), JpegImageFile),
    ("PNG", re.compile(rb"\x89PNG\r\n\x1a\n"), PngImageFile),
    ("WebP", re.compile(rb"RIFF.{4}WEBP", re.DOTALL), WebPImageFile),
    ("GIF", re.compile(rb"GIF8[79]a"), GifImageFile),
    ("TIFF", re.compile(rb"II[*+]\0|MM\0[*+]"), TiffImageFile),
    ("BMP", re.compile(rb"BM"), BmpImageFile),
)

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_16_TO_8_BITS = [round(value / 257) for value in range(65_536)]


class Undecodable(Rejected):
    """The bytes are no picture, wherever and whenever they are read."""


class _TooManyPixels(Exception):
    """The header announces more pixels than allowed."""


def decode(data: bytes, *, max_pixels: int, resolution: Resolution | None = None) -> Image.Image:
    """Decode one image.

    Args:
        data: the content of an image file.
        max_pixels: width times height, at most.
        resolution: how much of it is needed; a JPEG is decoded at a half, a quarter or an eighth of its size where
            that is still enough, which takes a fraction of the time.

    Returns:
        The picture, or its first frame or page: RGB, fully decoded, upright, over white where it was transparent,
        and without metadata, so that no later step turns it a second time.

    Raises:
        Undecodable: the data is no image, or broken.
        Rejected: the picture has more pixels than allowed here, or than this machine has memory for.
    """
    name, reader = _recognise(data)
    try:
        return _picture(reader(BytesIO(data)), max_pixels, resolution)
    except (_TooManyPixels, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        sentence = f"more pixels than the allowed {max_pixels} ({printable(str(error))})"
        raise Rejected(Reason.TOO_MANY_PIXELS, sentence) from error
    except MemoryError as error:
        # Hostile data asks for memory without end, too; but of this machine nobody else should be told.
        raise Rejected(Reason.BROKEN_IMAGE, f"the {name} data takes more memory than there is") from error
    except Exception as error:
        # On hostile data the decoders raise nearly anything: SyntaxError, struct.error, KeyError, even
        # AssertionError. Nothing but the bytes decides what happens in here, so the bytes are at fault.
        sentence = f"the {name} data is truncated or corrupt ({printable(str(error))})"
        raise Undecodable(Reason.BROKEN_IMAGE, sentence) from error


def _recognise(data: bytes) -> tuple[str, type[ImageFile]]:
    for name, magic, reader in _FORMATS:
        if magic.match(data):
            return name, reader
    names = ", ".join(name for name, _, _ in _FORMATS)
    raise Undecodable(Reason.NOT_AN_IMAGE, f"none of the formats {names}")


def _picture(image: ImageFile, max_pixels: int, resolution: Resolution | None) -> Image.Image:
    """Decode an image of which so far only the header was read."""
    if image.width * image.height > max_pixels:
        raise _TooManyPixels(f"{image.width} x {image.height}")
    if resolution is not None:
        image.draft(None, resolution.of(image.width, image.height))
    image.load()
    turn = _turn(image)  # asked after loading: a PNG may hold it behind the pixels, and TIFF has applied it
    picture = _rgb(image)
    if turn is not None:
        picture = picture.transpose(turn)
    picture.info = {}
    return picture


def _turn(image: Image.Image) -> Image.Transpose | None:
    """How the picture must be turned to stand upright."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except (SyntaxError, ValueError, OSError, struct.error):
        return None  # damaged notes about a picture are no reason to refuse the picture
    return _TURNS.get(orientation) if isinstance(orientation, int) else None


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return image.convert("I").point(_16_TO_8_BITS, "L").convert("RGB")
    if image.mode in {"I", "F"}:
        return _own_range(image).convert("RGB")
    return _over_white(image) if image.has_transparency_data else image.convert("RGB")


def _own_range(image: Image.Image) -> Image.Image:
    """Wide integers and floats have no agreed white: the lightest value of the picture becomes it."""
    grey = image.convert("F")
    low, high = (float(value) for value in grey.getextrema() if isinstance(value, int | float))
    scale = 255 / (high - low) if high > low else 1.0
    return grey.point(lambda value: value * scale + (0.5 - low * scale)).convert("L")


def _over_white(image: Image.Image) -> Image.Image:
    layer = image.convert("RGBA")
    picture = Image.new("RGB", image.size, "white")
    picture.paste(layer, mask=layer.getchannel("A"))
    return picture
