"""Loading images that somebody else names and somebody else made.

Both the path and the bytes are untrusted. A path leads to a regular file under an allowed root or to nothing;
what is decoded was read from that one opened file; sizes are checked before anything large is allocated.
"""

from __future__ import annotations

import errno
import math
import os
import re
import stat
import struct
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import ExifTags, Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from persqa.errors import Infrastructure, Rejected
from persqa.reasons import Reason

# No system opens a longer path, and resolving one takes time that grows with the square of its length.
_LONGEST_PATH = 4096
_LONGEST_SHOWN = 200

_SCHEME = re.compile(r"data:|[a-z][a-z0-9+.-]*://", re.IGNORECASE)

# NONBLOCK: opening a FIFO returns at once instead of waiting for a writer. NOFOLLOW: the path is resolved
# already, so a link in its last place was put there since.
_OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY

_OS_ERRORS = {
    errno.ENOENT: (Reason.NOT_FOUND, "no such file"),
    errno.ENOTDIR: (Reason.NOT_FOUND, "no such file"),
    errno.EACCES: (Reason.NOT_PERMITTED, "permission denied"),
    errno.EPERM: (Reason.NOT_PERMITTED, "permission denied"),
    errno.ELOOP: (Reason.OUTSIDE_ROOTS, "its symbolic links cannot be resolved"),
    errno.ENAMETOOLONG: (Reason.BAD_PATH, "the path is too long"),
    errno.EISDIR: (Reason.NOT_A_FILE, "not a regular file"),
    errno.ENXIO: (Reason.NOT_A_FILE, "not a regular file"),
    errno.ENODEV: (Reason.NOT_A_FILE, "not a regular file"),
}
# These say that this process or machine is short of something, and nothing about the file.
_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLimits:
    """What an image may be.

    Attributes:
        roots: folders a file may lie under; none means the base folder of the call.
        max_pixels: width times height, at most.
        max_bytes: size of the file, at most.
    """

    roots: tuple[Path, ...]
    max_pixels: int
    max_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """How much of a picture a model looks at; what is larger it scales down, and the shape stays.

    Attributes:
        edge: pixels on the longer edge, at most; None where any number goes.
        pixels: width times height, at most; None where any number goes.
    """

    edge: int | None = None
    pixels: int | None = None

    def of(self, width: int, height: int) -> tuple[int, int]:
        """The width and height in pixels at which the model looks at a picture of this size."""
        scale = 1.0
        if self.edge is not None:
            scale = min(scale, self.edge / max(width, height))
        if self.pixels is not None:
            scale = min(scale, math.sqrt(self.pixels / (width * height)))
        return math.ceil(width * scale), math.ceil(height * scale)


class _TooManyPixels(Exception):
    """The header announces more pixels than allowed."""


def load_image(reference: str, *, base: Path, limits: ImageLimits, resolution: Resolution | None = None) -> Image.Image:
    """Read and decode one local image file.

    Args:
        reference: the path as the data names it; a relative one starts at `base`.
        base: the folder of the data file.
        limits: where the file may lie and how large it may be.
        resolution: how much of it is needed; a JPEG is decoded at a half, a quarter or an eighth of its size where
            that is still enough, which takes a fraction of the time.

    Returns:
        The picture, or its first frame or page: RGB, fully decoded, upright, over white where it was transparent,
        and without metadata, so that no later step turns it a second time.

    Raises:
        Rejected: the reference names no image that may be used; the sentence begins with the reference.
        Infrastructure: this process or machine has run out of file handles or memory for opening files.
    """
    shown = _printable(reference)
    path = _resolved(reference, shown, base, limits.roots or (base,))
    try:
        data = _read(path, shown, limits.max_bytes)
    except OSError as error:
        raise _os_rejection(error, shown) from error
    return _decoded(data, shown, limits.max_pixels, resolution)


def _printable(text: str) -> str:
    """The text as it may stand in a log, a terminal and a database: short, and without control characters."""
    cut = text[:_LONGEST_SHOWN] + "..." if len(text) > _LONGEST_SHOWN else text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)


def _resolved(reference: str, shown: str, base: Path, roots: tuple[Path, ...]) -> Path:
    """Where the reference leads, all symbolic links followed, if that is under a root."""
    _check_reference(reference, shown)
    # Not strict: whether a file outside the roots exists must not show in the answer.
    path = Path(os.path.realpath(base / reference))
    if not any(path.is_relative_to(os.path.realpath(root)) for root in roots):
        raise Rejected(Reason.OUTSIDE_ROOTS, f"{shown}: not inside an allowed image folder")
    return path


def _check_reference(reference: str, shown: str) -> None:
    if not reference:
        raise Rejected(Reason.BAD_PATH, "the image path is empty")
    if _SCHEME.match(reference):
        raise Rejected(Reason.BAD_PATH, f"{shown}: only local paths are supported")
    try:
        encoded = reference.encode()
    except UnicodeEncodeError:
        raise Rejected(Reason.BAD_PATH, f"{shown}: the path is not valid Unicode") from None
    if b"\0" in encoded:
        raise Rejected(Reason.BAD_PATH, f"{shown}: the path contains a NUL character")
    if len(encoded) > _LONGEST_PATH:
        raise Rejected(Reason.BAD_PATH, f"{shown}: the path is too long")


def _read(path: Path, shown: str, max_bytes: int) -> bytes:
    """The content of a regular file; the size and kind are those of what was opened, not of what the path names."""
    descriptor = os.open(path, _OPEN_FLAGS)
    try:
        status = os.fstat(descriptor)
        _check_status(status, shown, max_bytes)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(status.st_size)
    finally:
        os.close(descriptor)


def _check_status(status: os.stat_result, shown: str, max_bytes: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Rejected(Reason.NOT_A_FILE, f"{shown}: not a regular file")
    if status.st_size == 0:
        raise Rejected(Reason.EMPTY_FILE, f"{shown}: the file is empty")
    if status.st_size > max_bytes:
        sentence = f"{shown}: {status.st_size} bytes, more than the allowed {max_bytes}"
        raise Rejected(Reason.TOO_MANY_BYTES, sentence)


def _os_rejection(error: OSError, shown: str) -> Rejected | Infrastructure:
    cause = os.strerror(error.errno) if error.errno is not None else str(error)
    if error.errno in _SHORTAGES:
        return Infrastructure(f"cannot open image files: {cause}")
    reason, sentence = _OS_ERRORS.get(error.errno or 0, (Reason.UNREADABLE, f"cannot be read: {cause}"))
    return Rejected(reason, f"{shown}: {sentence}")


def _decoded(data: bytes, shown: str, max_pixels: int, resolution: Resolution | None) -> Image.Image:
    name, reader = _recognise(data, shown)
    try:
        return _picture(reader(BytesIO(data)), max_pixels, resolution)
    except (_TooManyPixels, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        sentence = f"{shown}: more pixels than the allowed {max_pixels} ({_printable(str(error))})"
        raise Rejected(Reason.TOO_MANY_PIXELS, sentence) from error
    except Exception as error:
        # On hostile data the decoders raise nearly anything: SyntaxError, struct.error, KeyError, even
        # AssertionError and MemoryError. Nothing but the bytes decides what
        # happens in here, so the bytes are at fault.
        sentence = f"{shown}: the {name} data is truncated or corrupt ({_printable(str(error))})"
        raise Rejected(Reason.BROKEN_IMAGE, sentence) from error


def _recognise(data: bytes, shown: str) -> tuple[str, type[ImageFile]]:
    for name, magic, reader in _FORMATS:
        if magic.match(data):
            return name, reader
    names = ", ".join(name for name, _, _ in _FORMATS)
    raise Rejected(Reason.NOT_AN_IMAGE, f"{shown}: none of the formats {names}")


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
