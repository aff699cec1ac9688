"""Decoding images of unknown origin: sizes are checked before anything large is allocated."""

from __future__ import annotations

import hashlib
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

from persqa.bad_images import BadContent, BadImage
from persqa.errors import Rejected
from persqa.images.limits import Resolution
from persqa.images.naming import printable
from persqa.reasons import Reason

# By the first bytes. The readers are called directly, because `Image.open` applies a limit of pixels that is global to
# the process.
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


class _TooManyPixels(Exception):
    """The header announces more pixels than allowed."""


def decode(data: bytes, *, max_pixels: int, resolution: Resolution | None = None) -> Image.Image:
    """Decode one image.

    Args:
        data: the content of an image file.
        max_pixels: greatest width times height.
        resolution: the size that is needed. A JPEG is decoded at a half, a quarter or an eighth of its size if that
            suffices, which takes a fraction of the time.

    Returns:
        The image, or its first frame or page: RGB, fully decoded, upright, transparent parts white, without metadata,
        so that no later step turns it again.

    Raises:
        BadContent: the data is no image, or broken.
        Rejected: the image has more pixels than allowed, or than this machine has memory for.
    """
    name, reader = _recognise(data)
    try:
        return _decoded(reader(BytesIO(data)), max_pixels, resolution)
    except (_TooManyPixels, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        sentence = f"more pixels than the allowed {max_pixels} ({printable(str(error))})"
        raise Rejected(Reason.TOO_MANY_PIXELS, sentence) from error
    except MemoryError as error:
        # Hostile data may ask for any amount of memory, but it may also be this machine that has too little.
        raise Rejected(Reason.BROKEN_IMAGE, f"the {name} data takes more memory than there is") from error
    except Exception as error:
        # On hostile data the decoders raise nearly anything: SyntaxError, struct.error, KeyError, even AssertionError.
        # Only the bytes decide what happens here, so the bytes are at fault.
        sentence = f"the {name} data is truncated or corrupt ({printable(str(error))})"
        raise _bad(data, Reason.BROKEN_IMAGE, sentence) from error


def _recognise(data: bytes) -> tuple[str, type[ImageFile]]:
    for name, magic, reader in _FORMATS:
        if magic.match(data):
            return name, reader
    names = ", ".join(name for name, _, _ in _FORMATS)
    raise _bad(data, Reason.NOT_AN_IMAGE, f"none of the formats {names}")


def _bad(data: bytes, reason: Reason, sentence: str) -> BadContent:
    return BadContent(BadImage(digest=hashlib.sha256(data).hexdigest(), reason=reason, detail=sentence))


def _decoded(image: ImageFile, max_pixels: int, resolution: Resolution | None) -> Image.Image:
    """Decode an image whose header has been read."""
    if image.width * image.height > max_pixels:
        raise _TooManyPixels(f"{image.width} x {image.height}")
    if resolution is not None:
        image.draft(None, resolution.of(image.width, image.height))
    image.load()
    turn = _turn(image)  # after loading: a PNG may have it behind the pixels, and TIFF has applied it
    result = _rgb(image)
    if turn is not None:
        result = result.transpose(turn)
    result.info = {}
    return result


def _turn(image: Image.Image) -> Image.Transpose | None:
    """The turn that makes the image upright."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except (SyntaxError, ValueError, OSError, struct.error):
        return None  # damaged metadata is no reason to refuse the image
    return _TURNS.get(orientation) if isinstance(orientation, int) else None


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return image.convert("I").point(_16_TO_8_BITS, "L").convert("RGB")
    if image.mode in {"I", "F"}:
        return _own_range(image).convert("RGB")
    return _over_white(image) if image.has_transparency_data else image.convert("RGB")


def _own_range(image: Image.Image) -> Image.Image:
    """The image as grey of 8 bits. Wide integers and floats have no agreed white: the lightest value becomes white."""
    grey = image.convert("F")
    low, high = (float(value) for value in grey.getextrema() if isinstance(value, int | float))
    scale = 255 / (high - low) if high > low else 1.0
    return grey.point(lambda value: value * scale + (0.5 - low * scale)).convert("L")


def _over_white(image: Image.Image) -> Image.Image:
    layer = image.convert("RGBA")
    result = Image.new("RGB", image.size, "white")
    result.paste(layer, mask=layer.getchannel("A"))
    return result
