"""PNG files as people have them, with something wrong that is not pixels; see `odd_pictures`."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from PIL import Image

from tests.support.pictures import encoded, png_chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MAGIC = b"\x89PNG\r\n\x1a\n"
GARBAGE = bytes(range(7, 255)) * 3


@dataclass(frozen=True, slots=True)
class Odd:
    """A picture file with a fault, and its twin without."""

    name: str
    data: bytes
    clean: bytes


@cache
def photo(width: int = 96, height: int = 64) -> Image.Image:
    """Something with edges, slopes and grain, the same each time."""
    image = Image.new("RGB", (width, height))
    image.putdata(
        [(x * 2 % 256, (y * 3 + x * y % 7) % 256, (x * 5 ^ y * 11) % 256) for y in range(height) for x in range(width)]
    )
    return image


@cache
def _bomb() -> bytes:
    """What unpacks to 64 MiB."""
    return zlib.compress(bytes(2**26), 9)


def pngs() -> Iterator[Odd]:
    """PNG: notes, profiles, checksums, what is behind the pixels, and animations."""
    clean = encoded(photo(), "PNG")
    head, *rest = png_chunks(clean)
    before = {
        "profile of 1.6 MB": png_chunk(b"iCCP", b"press\0\0" + zlib.compress(bytes(range(256)) * 6250)),
        "profile that is a bomb": png_chunk(b"iCCP", b"press\0\0" + _bomb()),
        "profile packed in no known way": png_chunk(b"iCCP", b"press\0\7" + GARBAGE),
        "profile that is garbage": png_chunk(b"iCCP", b"press\0\0" + GARBAGE),
        "profile without a name": png_chunk(b"iCCP", b""),
        "packed text that is a bomb": png_chunk(b"zTXt", b"Comment\0\0" + _bomb()),
        "packed text in no known way": png_chunk(b"zTXt", b"Comment\0\7" + GARBAGE),
        "international text that is a bomb": png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + _bomb()),
        "much text": png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2**20 - 1))) * 80,
        "exif that is a bomb": png_chunk(b"zTXt", b"Raw profile type exif\0\0" + _bomb()),
        "exif in text that is garbage": png_chunk(b"tEXt", b"Raw profile type exif\0\nexif\nzz\nnothing"),
        "text with a wrong checksum": wrong_checksum(png_chunk(b"tEXt", b"Comment\0hello")),
        "gamma with a wrong checksum": wrong_checksum(png_chunk(b"gAMA", struct.pack(">I", 45455))),
        "unknown chunk with a wrong checksum": wrong_checksum(png_chunk(b"prVt", GARBAGE)),
        "short gamma": png_chunk(b"gAMA", b"\0"),
        "short resolution": png_chunk(b"pHYs", b"\0\0"),
        "short colours": png_chunk(b"cHRM", b"\0"),
        "empty rendering": png_chunk(b"sRGB", b""),
        "chunk with no name": png_chunk(b"\0\1\2\3", b"what"),
        "exif that is garbage": png_chunk(b"eXIf", GARBAGE),
        "exif that ends early": png_chunk(b"eXIf", b"II*\0\x08\0\0\0\xff\xff\x12\1\3"),
        "short animation": png_chunk(b"acTL", b"\0"),
        "animation of no frames": png_chunk(b"acTL", bytes(8)),
        "frame in the wrong place": png_chunk(b"acTL", struct.pack(">II", 2, 0))
        + png_chunk(b"fcTL", struct.pack(">7I", 5, 9999, 9999, 9999, 9999, 0, 0)),
    }
    for name, chunk in before.items():
        yield Odd(f"png: {name}", _MAGIC + b"".join([head, chunk, *rest]), clean)
    yield from _pngs_with_an_end(clean)
    yield from _pngs_of_other_kinds()


def _pngs_with_an_end(clean: bytes) -> Iterator[Odd]:
    """What is behind the pixels."""
    head, *rest = png_chunks(clean)
    pixels, end = b"".join([head, *rest[:-1]]), rest[-1]
    behind = {
        "no end": b"",
        "half an end": end[:5],
        "end with a wrong checksum": wrong_checksum(end),
        "junk behind the end": end + GARBAGE,
        "text behind the pixels with a wrong checksum": wrong_checksum(png_chunk(b"tEXt", b"Comment\0hello")) + end,
        "text behind the pixels that is a bomb": png_chunk(b"zTXt", b"Comment\0\0" + _bomb()) + end,
        "text that is cut": png_chunk(b"tEXt", b"Comment\0" + bytes(500))[:100],
        "packed text that is cut": png_chunk(b"zTXt", b"Comment\0\0" + GARBAGE)[:40],
        "garbage behind the pixels": GARBAGE,
        "frame that is cut": png_chunk(b"fcTL", bytes(26)) + png_chunk(b"fdAT", bytes(60))[:30],
    }
    for name, tail in behind.items():
        yield Odd(f"png: {name}", _MAGIC + pixels + tail, clean)
    yield Odd("png: cut in the checksum of the pixels", _MAGIC + pixels[:-2], clean)
    yield Odd("png: wrong checksum of the packed pixels", _MAGIC + wrong_checksum(pixels) + end, clean)
    for missing in (1, 3, 4):
        yield Odd(f"png: cut in the sum of the pixels by {missing}", _MAGIC + pixels[: -4 - missing], clean)
    yield Odd("png: wrong header of the packed pixels' window", *_png_pair(lambda packed: b"\x08\x1d" + packed[2:]))
    yield Odd("png: more than the pixels", *_png_pair(lambda packed: zlib.compress(zlib.decompress(packed) + GARBAGE)))
    yield Odd("png: pixels in many parts", _MAGIC + head + b"".join(_in_parts(clean, 11)) + end[:4], clean)


def _pngs_of_other_kinds() -> Iterator[Odd]:
    clean = encoded(photo(), "PNG")
    head, *rest = png_chunks(clean)
    clear = photo().convert("P", palette=Image.Palette.ADAPTIVE)
    seen = encoded(clear, "PNG", transparency=bytes(range(0, 256, 2)))
    parts = [wrong_checksum(part) if part[4:8] == b"tRNS" else part for part in png_chunks(seen)]
    yield Odd("png: transparency with a wrong checksum", _MAGIC + b"".join(parts), seen)
    yield Odd("png: short transparency", _MAGIC + b"".join([head, png_chunk(b"tRNS", b"\0\0"), *rest]), clean)
    laced = _interlaced()
    yield Odd("png: interlaced without an end", laced[:-16], laced)
    moving = encoded(photo(), "PNG", save_all=True, append_images=[photo().rotate(180)], duration=9)
    yield Odd("png: animation cut in its second frame", moving[: len(moving) - 400], clean)


def png_chunks(data: bytes) -> list[bytes]:
    """The chunks of a whole PNG."""
    found, at = list[bytes](), len(_MAGIC)
    while at < len(data):
        size = 12 + int.from_bytes(data[at : at + 4], "big")
        found.append(data[at : at + size])
        at += size
    return found


def wrong_checksum(chunk: bytes) -> bytes:
    """A chunk whose last byte is another one."""
    return chunk[:-1] + bytes([chunk[-1] ^ 0xFF])


def _png_pair(change: Callable[[bytes], bytes]) -> tuple[bytes, bytes]:
    clean = encoded(photo(), "PNG")
    chunks = [png_chunk(part[4:8], change(part[8:-4])) if part[4:8] == b"IDAT" else part for part in png_chunks(clean)]
    return _MAGIC + b"".join(chunks), clean


def _in_parts(png: bytes, size: int) -> Iterator[bytes]:
    packed = b"".join(part[8:-4] for part in png_chunks(png) if part[4:8] == b"IDAT")
    for start in range(0, len(packed), size):
        yield png_chunk(b"IDAT", packed[start : start + size])


def _interlaced() -> bytes:
    """A grey picture of 3 x 3 in seven passes, of which some are empty."""
    rows = [b"\x0a", b"\x14", b"\x1e\x28", b"\x32", b"\x3c", b"\x46\x50\x5a"]
    raw = b"".join(b"\0" + row for row in rows)
    header = struct.pack(">IIBBBBB", 3, 3, 8, 0, 0, 0, 1)
    return _MAGIC + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(raw)) + png_chunk(b"IEND", b"")
