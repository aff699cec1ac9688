"""Decoding images of unknown origin: sizes are checked before anything large is allocated."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO

from PIL import ExifTags, Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH, TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from persqa.bad_images import BadContent, BadImage
from persqa.errors import Rejected
from persqa.image_kinds import DECODED, Kind, kind_of
from persqa.images.avif import AvifPicture
from persqa.images.jpeg_ends import ends_of
from persqa.images.limits import Resolution
from persqa.images.naming import printable
from persqa.images.notes import without_notes
from persqa.images.pixels import decoded, kept, rgb
from persqa.reasons import Reason


@dataclass(frozen=True, slots=True)
class _Decoder:
    """What decodes one format.

    Attributes:
        reader: called directly, because `Image.open` applies a limit of pixels that is global to the process.
        pixel_bytes: most bytes that decoding takes for each pixel that is decoded, the result included; measured.
    """

    reader: type[ImageFile]
    pixel_bytes: int


_DECODERS = {
    "JPEG": _Decoder(JpegImageFile, 8),
    "PNG": _Decoder(PngImageFile, 8),
    "WebP": _Decoder(WebPImageFile, 20),
    "GIF": _Decoder(GifImageFile, 8),
    "TIFF": _Decoder(TiffImageFile, 12),
    "BMP": _Decoder(BmpImageFile, 8),
    "AVIF": _Decoder(AvifPicture, 28),
}

#: An AVIF file has its transparency and a small copy as pictures of their own.
_PICTURES_IN_ONE = 3

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

#: Bytes that a progressive JPEG takes for each pixel of the file, however little of it is decoded.
_PROGRESSIVE_BYTES = 8
#: Memory that must be free, beyond what decoding takes, for a failure to be the data's fault.
_SPARE_BYTES = 64 * 2**20


class _TooManyPixels(Exception):
    """The header announces more pixels than allowed."""


class _Content:
    """The content of an image file, and what of it is pixels, which is looked for once; raises BadContent."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.kind = _recognise(data)
        self.decoder = _DECODERS[self.kind.name]

    @cached_property
    def bare(self) -> bytes:
        return without_notes(self.kind.name, self.data)

    @cached_property
    def ends(self) -> list[bytes]:
        """Of a JPEG that has none, those that it may have."""
        return ends_of(self.bare) if self.kind.name == "JPEG" else []

    def opened(self, end: bytes = b"") -> ImageFile:
        """The picture, with its header read."""
        # Where an end is missing, half a mark of it may be left.
        return self.decoder.reader(BytesIO(self.bare.removesuffix(b"\xff") + end if end else self.bare))


def decode(data: bytes, *, max_pixels: int, resolution: Resolution | None = None) -> Image.Image:
    """Decode one image.

    Args:
        data: the content of an image file.
        max_pixels: greatest width times height.
        resolution: the size that the model looks at. A larger image is scaled down to twice that, or to that itself
            where the model scales to whole units. A JPEG is decoded at a half, a quarter or an eighth of its size if
            that suffices, which takes a fraction of the time.

    Returns:
        The image, or its first frame or page: RGB, fully decoded, upright, transparent parts white, without metadata,
        so that no later step turns it again.

    Raises:
        BadContent: the data is no image, or broken.
        Rejected: the image has more pixels than allowed, or than this machine has memory for.
    """
    content = _Content(data)
    found = _try(content, max_pixels, resolution)
    if isinstance(found, Rejected) and found.reason is Reason.BROKEN_IMAGE:
        # Where memory is short, decoders say nearly anything of good data. So the data is to blame only if it fails
        # twice, and the memory for it was there after each time.
        needed = _needed(content, max_pixels, None) + _SPARE_BYTES
        if _is_free(needed):
            found = _try(content, max_pixels, resolution)
        if isinstance(found, BadContent) and not _is_free(needed):
            found = Rejected(found.reason, f"{found}, unless it is this machine that has too little memory")
    if isinstance(found, Image.Image):
        return found
    # Not where it was caught: there it would keep all that the decoder has allocated.
    raise found


def decoding_bytes(data: bytes, *, max_pixels: int, resolution: Resolution | None = None) -> int:
    """How many bytes of memory decoding this content takes at most, beyond its own; 0 if it is refused at once."""
    try:
        return _needed(_Content(data), max_pixels, resolution)
    except BadContent:
        return 0


def _needed(content: _Content, max_pixels: int, resolution: Resolution | None) -> int:
    """As in `decoding_bytes`."""
    try:
        image, copies = content.opened(), 0 if content.bare is content.data else 1
        if content.ends:
            resolution, copies = None, 2  # as in `_end`
        progressive = _PROGRESSIVE_BYTES if image.info.get("progressive") else 0
        pixels = whole = _pixels(image, max_pixels)
        if isinstance(image, AvifPicture):
            pixels = max(pixels, image.frames.possible)
        if _draft(image, resolution) is not None:
            pixels = image.width * image.height
        return whole * progressive + pixels * content.decoder.pixel_bytes + copies * len(content.bare)
    except (_TooManyPixels, Image.DecompressionBombError):
        return 0
    except Exception:  # noqa: BLE001 - as in `_try`
        # Nobody knows how far the decoder gets.
        return max_pixels * max(decoder.pixel_bytes for decoder in _DECODERS.values())


def suffix_of(data: bytes) -> str:
    """The usual suffix for a file with this content, such as `.jpg`; raises BadContent if it is no image."""
    return _recognise(data).suffixes[0]


def _recognise(data: bytes) -> Kind:
    kind = kind_of(data)
    if kind is not None and kind.is_decoded:
        return kind
    found = f" (found: {kind.name})" if kind else ""
    names = ", ".join(decoded.name for decoded in DECODED)
    raise _bad(data, Reason.NOT_AN_IMAGE, f"none of the formats {names}{found}")


def _bad(data: bytes, reason: Reason, sentence: str) -> BadContent:
    return BadContent(BadImage(digest=hashlib.sha256(data).hexdigest(), reason=reason, detail=sentence))


def _is_free(size: int) -> bool:
    """Whether there is memory of this size; none of it is touched."""
    try:
        # Zeros that nobody has touched are no memory yet.
        return bool(bytes(size))
    except MemoryError:
        return False


def _try(content: _Content, max_pixels: int, resolution: Resolution | None) -> Image.Image | Rejected:
    """The image, or why there is none."""
    name = content.kind.name
    try:
        end = _end(content, max_pixels) if content.ends else b""
        return _decoded(content.opened(end), max_pixels, resolution)
    except (_TooManyPixels, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = f"the allowed {max_pixels} (PERSQA_MAX_IMAGE_PIXELS)"
        sentence = f"more pixels than {limit}: {printable(str(error))}"
        return Rejected(Reason.TOO_MANY_PIXELS, sentence)
    except MemoryError:
        # Hostile data may ask for any amount of memory, but it may also be this machine that has too little.
        return Rejected(Reason.BROKEN_IMAGE, f"the {name} data takes more memory than there is")
    except Exception as error:  # noqa: BLE001 - the decoders', on hostile data
        # On hostile data the decoders raise nearly anything: SyntaxError, struct.error, KeyError, even AssertionError.
        # Only the bytes decide what happens here, so the bytes are at fault.
        sentence = f"the {name} data is truncated or corrupt ({printable(str(error))})"
        return _bad(content.data, Reason.BROKEN_IMAGE, sentence)


def _end(content: _Content, max_pixels: int) -> bytes:
    """An end for a JPEG that has none; raises ValueError if the picture would be another one with another end."""
    digests = set[bytes]()
    for end in content.ends:
        # One at a time is in memory.
        digests.add(hashlib.sha256(_decoded(content.opened(end), max_pixels, None).tobytes()).digest())
        if len(digests) > 1:
            raise ValueError("pixels are missing")
    return content.ends[0]


def _pixels(image: ImageFile, max_pixels: int) -> int:
    """The number of pixels that are decoded at once, as the header announces it; raises _TooManyPixels."""
    sizes = [image.size]
    if isinstance(image, TiffImageFile):
        # A tile is decoded as a whole, and may be larger than the picture.
        width, height = (image.tag_v2.get(tag) for tag in (TILEWIDTH, TILELENGTH))
        if isinstance(width, int) and isinstance(height, int):
            sizes.append((width, height))
    width, height = max(sizes, key=math.prod)
    if width * height > max_pixels:
        raise _TooManyPixels(f"{width} x {height}")
    if isinstance(image, AvifPicture):
        if (frames := image.frames).largest > max_pixels or frames.together > _PICTURES_IN_ONE * max_pixels:
            raise _TooManyPixels(f"{frames.together} in all pictures of the file")
        return max(width * height, frames.largest)
    return width * height


def _decoded(image: ImageFile, max_pixels: int, resolution: Resolution | None) -> Image.Image:
    """Decode an image whose header has been read."""
    _pixels(image, max_pixels)
    size = kept(*image.size, resolution)
    extent = _draft(image, resolution)
    image.load()
    turn = _turn(image)  # after loading: a PNG may have it behind the pixels, and TIFF has applied it
    # What the model's side scales keeps the size at which it was decoded.
    if extent is None or (resolution is not None and not resolution.scaled):
        size, extent = kept(*image.size, resolution), image.size
    result = _rgb(image, size, extent, resolution)
    if turn is not None:
        result = result.transpose(turn)
    result.info = {}
    return result


def _rgb(
    image: ImageFile, size: tuple[int, int], extent: tuple[float, float], resolution: Resolution | None
) -> Image.Image:
    if isinstance(image, JpegImageFile) and image.mode == "RGB" and image.size == size == extent:
        # Its pixels, without the rest of it. Pillow has no public way to do so, but for a copy, which would take up to
        # a half of the time of decoding.
        return image._new(image.im)  # noqa: SLF001  # pyrefly: ignore[protected-access]
    return rgb(image, size, extent, resolution)


def _draft(image: ImageFile, resolution: Resolution | None) -> tuple[float, float] | None:
    """Have a JPEG decoded at a part of its size, if that is enough; returns how much of its last pixels is picture."""
    size = decoded(*image.size, resolution)
    if size[0] >= image.width or size[1] >= image.height or (drafted := image.draft(None, size)) is None:
        return None
    return drafted[1][2:]


def _turn(image: Image.Image) -> Image.Transpose | None:
    """The turn that makes the image upright."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - damaged notes raise nearly anything, and are no reason to refuse the image
        return None
    return _TURNS.get(orientation) if isinstance(orientation, int) else None
