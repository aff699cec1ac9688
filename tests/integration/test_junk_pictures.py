"""Files of nothing but parts, as somebody may send them to keep a worker busy: they cost hardly any time."""

from __future__ import annotations

import struct
import time
import zlib
from contextlib import suppress

import pytest
from PIL import Image

from persqa.errors import Rejected
from persqa.images import decoding_bytes
from persqa.images.decoding import decode
from tests.support.pictures import encoded, png_chunk

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

_SIZE = 4_000_000
_MOST_PIXELS = 50_000_000
_MOST_SECONDS = 4

_JPEG, _PNG, _GIF = (encoded(Image.new("RGB", (8, 8)), name) for name in ("JPEG", "PNG", "GIF"))
_WEBP = encoded(Image.new("RGB", (8, 8)), "WEBP", lossless=True)
_AVIF = encoded(Image.new("RGB", (8, 8)), "AVIF")
_GIF_PICTURE = _GIF.index(b"\x2c\0\0\0\0")
_BMP = struct.pack("<2sIII", b"BM", 0, 0, 1078) + struct.pack("<IiiHH6I", 40, 7000, 7000, 1, 8, 1, 0, 0, 0, 256, 0)


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def tiff(tag: int) -> bytes:
    """A picture, as high as it has values of this tag."""
    number = _SIZE // 4
    tags = {256: (4, 1, 8), 257: (4, 1, number), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1), 278: (4, 1, 1)}
    tags |= {tag: (4, number, 200)}
    entries = b"".join(struct.pack("<HHII", key, *tags[key]) for key in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries


def avif(unit: bytes) -> bytes:
    """A picture whose packed pixels are the same again and again."""
    place = _AVIF.index(b"iloc") + 22
    return _AVIF[:place] + struct.pack(">I", _SIZE) + _AVIF[place + 4 : _AVIF.index(b"mdat") + 4] + unit


_EXIF = b"MM\0*\0\0\0\x08\xff\xff"
#: What is in front, and what is repeated behind it, and then what is last.
JUNK: dict[str, tuple[bytes, bytes, bytes]] = {
    "jpeg: marks": (b"\xff\xd8", b"\xff\xe5\0\2", b""),
    "jpeg: comments": (_JPEG[:2], b"\xff\xfe\0\2", _JPEG[2:]),
    "jpeg: fill": (b"\xff\xd8", b"\xff", b""),
    "jpeg: zeros": (b"\xff\xd8\xff\xe0\0\2", b"\0", b""),
    "jpeg: restarts": (b"\xff\xd8\xff", b"\xff\xd0", b""),
    "jpeg: ends": (b"\xff\xd8", b"\xff\xd9", b""),
    "jpeg: short exif": (_JPEG[:2], segment(0xE1, b"Exif\0\0" + bytes(100)), _JPEG[2:]),
    "jpeg: tables": (_JPEG[:2], segment(0xDB, (b"\0" + bytes(range(1, 65))) * 1000), _JPEG[2:]),
    "jpeg: frames": (b"\xff\xd8", segment(0xC0, b"\x08\0\1\0\1\3" + bytes(65_000)), b""),
    "jpeg: photoshop": (_JPEG[:2], segment(0xED, b"Photoshop 3.0\0" + b"8BIM\0\1\0\0\0\0\0\0" * 5000), _JPEG[2:]),
    "jpeg: marks for an end": (_JPEG[:-2], b"\xff\xe5\0\2", b""),
    "jpeg: restarts for an end": (_JPEG[:-2], b"\xff\xd0", b""),
    "jpeg: fill for an end": (_JPEG[:-2], b"\xff", b""),
    "gif: zeros": (_GIF[:_GIF_PICTURE], b"\0", b""),
    "gif: extensions": (_GIF[:_GIF_PICTURE], b"\x21\xf9\4\1\0\0\0\0", _GIF[_GIF_PICTURE:]),
    "gif: blocks of a comment": (_GIF[:_GIF_PICTURE] + b"\x21\xfe", b"\1a", b""),
    "gif: blocks of pixels": (_GIF[: _GIF_PICTURE + 11], b"\1a", b""),
    "gif: frames": (_GIF[:-1], _GIF[_GIF_PICTURE:-1], b";"),
    "png: texts": (_PNG[:33], png_chunk(b"teXt", b""), b""),
    "png: unknown chunks": (_PNG[:33], png_chunk(b"abCd", b""), _PNG[33:]),
    "png: no pixels": (_PNG[:33], png_chunk(b"IDAT", b""), _PNG[33:]),
    "png: exif": (_PNG[:33], png_chunk(b"eXIf", b"MM\0*"), _PNG[33:]),
    "png: bombs": (
        _PNG[:33],
        png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(3 * 2**20))),
        _PNG[33:],
    ),
    "png: frames": (_PNG[:33] + png_chunk(b"acTL", b"\0\0\0\x09\0\0\0\0"), png_chunk(b"fcTL", bytes(26)), _PNG[33:]),
    "tiff: tags": (b"II*\0\x08\0\0\0\xff\xff", struct.pack("<HHII", 256, 3, 1, 1), b""),
    "tiff: large list of tags": (
        b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, _SIZE // 20),
        struct.pack("<HHQQ", 256, 3, 1, 1),
        b"",
    ),
    "tiff: strips": (tiff(273), bytes(4), b""),
    "tiff: sizes of samples": (tiff(258), bytes(4), b""),
    "tiff: pages": (b"II*\0\x08\0\0\0", struct.pack("<HHHIII", 1, 256, 3, 1, 1, 26), b""),
    "webp: chunks": (b"RIFF\0\0\0\0WEBP", b"ABCD\0\0\0\0", _WEBP[12:]),
    "webp: transparencies": (b"RIFF\0\0\0\0WEBP", b"ALPH\0\0\0\0", b""),
    "bmp: ends of lines": (_BMP + bytes(1024), b"\0\0", b""),
    "bmp: single pixels": (_BMP + bytes(1024), b"\1\1", b""),
    "avif: boxes": (_AVIF[: _AVIF.index(b"meta") - 4], b"\0\0\0\x08free", b""),
    "avif: units": (avif(b"\x7a\0"), b"\x7a\0", b""),
    "avif: sequences": (avif(b""), b"\x0a\x0b\0\0\0\x24\xc4\x7f" + b"\xff" * 5, b""),
}


@pytest.mark.parametrize("name", JUNK)
def test_junk_takes_hardly_any_time(name: str) -> None:
    first, again, last = JUNK[name]
    data = first + again * (_SIZE // len(again)) + last
    started = time.process_time()
    with suppress(Rejected):
        decode(data, max_pixels=_MOST_PIXELS)
    decoding_bytes(data, max_pixels=_MOST_PIXELS)
    assert time.process_time() - started < _MOST_SECONDS


@pytest.mark.parametrize(
    ("data", "place", "part"),
    [
        (_JPEG, 2, segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(1000))),
        (_GIF, _GIF_PICTURE, b"\x21\xfe\5hello\0"),
        (_PNG, 33, png_chunk(b"tEXt", b"Comment\0hello")),
        (_WEBP, 12, b"ABCD\2\0\0\0hi"),
    ],
    ids=["jpeg", "gif", "png", "webp"],
)
def test_a_picture_may_have_thousands_of_parts(data: bytes, place: int, part: bytes) -> None:
    assert decode(data[:place] + part * 5000 + data[place:], max_pixels=_MOST_PIXELS).size == (8, 8)
