"""Picture files as people have them: all pixels are there, and something that is not pixels is wrong.

Each has a clean twin: what a decoder makes of both must be the same.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING

from PIL import Image

from tests.support.odd_pngs import GARBAGE, Odd, photo, pngs
from tests.support.pictures import encoded

if TYPE_CHECKING:
    from collections.abc import Iterator


def jpegs() -> Iterator[Odd]:
    """JPEG: the mark of the end, segments, and what is behind the picture."""
    for name, options in {
        "plain": {},
        "progressive": {"progressive": True},
        "restarts": {"restart_marker_blocks": 3},
    }.items():
        clean = encoded(photo(), "JPEG", quality=90, **options)
        yield Odd(f"jpeg: {name} without an end", clean[:-2], clean)
        yield Odd(f"jpeg: {name} with half an end", clean[:-1], clean)
        yield Odd(f"jpeg: {name} with junk for an end", clean[:-2] + GARBAGE, clean)
    for mode in ("L", "CMYK"):
        clean = encoded(photo().convert(mode), "JPEG", quality=90)
        yield Odd(f"jpeg: {mode} without an end", clean[:-2], clean)
    clean = encoded(photo(), "JPEG", quality=90)
    turned = encoded(photo(), "JPEG", quality=90, exif=_turned())
    segments = {
        "exif that is garbage": _segment(0xE1, b"Exif\0\0" + GARBAGE),
        "exif that ends early": _segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\1\3"),
        "much xmp": b"".join(_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + bytes(65_000)) for _ in range(20)),
        "part of a profile": _segment(0xE2, b"ICC_PROFILE\0\7\3" + GARBAGE),
        "profile without its number": _segment(0xE2, b"ICC_PROFILE\0"),
        "list of pictures that is garbage": _segment(0xE2, b"MPF\0" + GARBAGE),
        "photoshop that is garbage": _segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed\0\0\0\0\xff\xff\1"),
        "empty adobe": _segment(0xEE, b""),
        "empty jfif": _segment(0xE0, b"JFIF\0"),
        "empty segment": _segment(0xE5, b""),
        "comment": _segment(0xFE, b"\xff\xd9" * 30_000),
        "fill": b"\xff" * 40,
    }
    for name, segment in segments.items():
        yield Odd(f"jpeg: {name}", clean[:2] + segment + clean[2:], clean)
        yield Odd(f"jpeg: {name}, behind the first", clean[:20] + segment + clean[20:], clean)
    yield Odd("jpeg: garbage between segments", clean[:20] + b"\0\1\2what" + clean[20:], clean)
    yield Odd("jpeg: turned without an end", turned[:-2], turned)
    yield Odd(
        "jpeg: turned with a garbage segment",
        turned[:2] + segments["profile without its number"] + turned[2:-2],
        turned,
    )


def gifs() -> Iterator[Odd]:
    """GIF: its trailer, extensions, and later frames."""
    clean = encoded(photo(), "GIF")
    moving = encoded(photo(), "GIF", save_all=True, append_images=[photo().rotate(180)])
    image = clean.index(b"\x2c\0\0\0\0")
    yield Odd("gif: no trailer", clean[:-1], clean)
    yield Odd("gif: no end of its pixels", clean[:-2], clean)
    yield Odd("gif: junk behind it", clean + GARBAGE, clean)
    yield Odd("gif: junk for a trailer", clean[:-1] + GARBAGE, clean)
    yield Odd("gif: cut in its second frame", moving[:-300], clean)
    for name, extension in {
        "comment": b"\x21\xfe" + (b"\x05hello" * 4000) + b"\0",
        "short loop": b"\x21\xff\x0bNETSCAPE2.0\1\1\0",
        "empty control": b"\x21\xf9\0",
        "short control": b"\x21\xf9\1\0\0",
        "unknown extension": b"\x21\x77\3abc\0",
        "zeros": bytes(9),
    }.items():
        yield Odd(f"gif: {name}", clean[:image] + extension + clean[image:], clean)


def webps() -> Iterator[Odd]:
    """WebP: chunks that are not pixels, and the size of the whole."""
    for name, options in {"lossy": {"quality": 90}, "lossless": {"lossless": True}}.items():
        clean = encoded(
            photo(), "WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0", xmp=b"<x:xmpmeta/>" * 9, **options
        )
        plain = encoded(photo(), "WEBP", **options)
        notes = clean.index(b"EXIF")
        yield Odd(f"webp: {name}, exif that is garbage", clean[: notes + 8] + b"\xff" * 14 + clean[notes + 22 :], clean)
        yield Odd(f"webp: {name}, cut in its notes", clean[: notes + 12], clean)
        yield Odd(f"webp: {name}, its notes missing", clean[:notes], clean)
        yield Odd(
            f"webp: {name}, notes that are too long",
            clean[: notes + 4] + b"\xff\xff\xff\x7f" + clean[notes + 8 :],
            clean,
        )
        yield Odd(f"webp: {name}, junk behind it", clean + GARBAGE, clean)
        yield Odd(f"webp: {name}, unknown chunk", _riff(plain[12:] + b"WHAT\3\0\0\0abc\0"), plain)
        yield Odd(f"webp: {name}, too large a size", plain[:4] + b"\xf0\xff\xff\x7f" + plain[8:], plain)
        yield Odd(f"webp: {name}, too small a size", plain[:4] + b"\x20\0\0\0" + plain[8:], plain)
        yield Odd(f"webp: {name}, no size", plain[:4] + bytes(4) + plain[8:], plain)
    clean = encoded(photo(), "WEBP", lossless=True, icc_profile=bytes(500))
    profile = clean.index(b"ICCP")
    yield Odd("webp: another name for its profile", clean[:profile] + b"\0\0\0\0" + clean[profile + 4 :], clean)


def tiffs() -> Iterator[Odd]:
    """TIFF: tags that say nothing of pixels."""
    for packed in ("raw", "tiff_lzw", "tiff_adobe_deflate"):
        clean = encoded(photo(), "TIFF", compression=packed)
        for name, entry in {
            "profile that lies outside": (34675, 7, 90_000, 2**31),
            "exif that lies outside": (34665, 4, 1, 2**31),
            "exif that is garbage": (34665, 4, 1, 30),
            "xmp that lies outside": (700, 1, 90_000, 2**31),
            "description that lies outside": (270, 2, 90_000, 2**31),
            "number of an unknown type": (50_000, 99, 5, 5),
            "unknown tag": (60_000, 4, 1, 5),
            "resolution over nothing": (282, 5, 1, 2**31),
            "orientation that is text": (274, 2, 2, 65),
            "software that is a number": (305, 4, 1, 5),
            "page name of no characters": (285, 2, 0, 0),
            "pixels of no bytes": (279, 4, 1, 0),
        }.items():
            yield Odd(f"tiff: {packed}, {name}", with_tag(clean, *entry), clean)
        yield Odd(f"tiff: {packed}, a next page that lies outside", with_next(clean, 2**31), clean)
        yield Odd(f"tiff: {packed}, itself for a next page", with_next(clean, 8), clean)
        yield Odd(f"tiff: {packed}, no next page", with_next(clean, 0)[:-4], clean)
        yield Odd(f"tiff: {packed}, half a next page", with_next(clean, 0)[:-1], clean)
        yield Odd(f"tiff: {packed}, junk behind it", clean + GARBAGE, clean)


def bmps() -> Iterator[Odd]:
    """BMP: sizes that are wrong, and padding."""
    clean = encoded(photo(), "BMP")
    narrow = encoded(photo().crop((0, 0, 93, 64)), "BMP")
    yield Odd("bmp: no size of the file", clean[:2] + bytes(4) + clean[6:], clean)
    yield Odd("bmp: no size of the pixels", clean[:34] + bytes(4) + clean[38:], clean)
    yield Odd("bmp: too large a size", clean[:34] + b"\xff\xff\xff\x7f" + clean[38:], clean)
    yield Odd("bmp: no resolution", clean[:38] + bytes(8) + clean[46:], clean)
    yield Odd("bmp: junk behind it", clean + GARBAGE, clean)
    yield Odd("bmp: last padding missing", narrow[:-1], narrow)


def avifs() -> Iterator[Odd]:
    """AVIF: notes, and what is behind the picture."""
    plain = encoded(photo(), "AVIF")
    description = b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x0e\0\2\0\0\0\4abc\0\0\0\0\0"
    noted = encoded(photo(), "AVIF", exif=description, xmp=b"<x:xmpmeta/>" * 9)
    yield Odd("avif: exif that is garbage", noted.replace(b"MM\0*", b"\xff\0\xff\0"), plain)
    yield Odd(
        "avif: exif that ends early", noted.replace(b"\0\0\0\x08\0\1\x01\x0e", b"\0\0\0\x08\xff\xff\x01\x0e"), plain
    )
    yield Odd("avif: junk behind it", plain + GARBAGE, plain)
    yield Odd("avif: garbage for a profile", encoded(photo(), "AVIF", icc_profile=GARBAGE), plain)
    yield Odd("avif: another name for all of them", plain[:8] + b"mif1" + plain[12:], plain)


def with_tag(tiff: bytes, tag: int, kind: int, count: int, value: int) -> bytes:
    """A TIFF whose list of tags, moved to its end, has one more or another one."""
    offset = int.from_bytes(tiff[4:8], "little")
    number = int.from_bytes(tiff[offset : offset + 2], "little")
    entries = {int.from_bytes(entry[:2], "little"): entry for entry in _entries(tiff, offset, number)}
    entries[tag] = struct.pack("<HHII", tag, kind, count, value)
    moved = struct.pack("<H", len(entries)) + b"".join(entries[one] for one in sorted(entries)) + bytes(4)
    return tiff[:4] + struct.pack("<I", len(tiff)) + tiff[8:] + moved


def with_next(tiff: bytes, offset: int) -> bytes:
    """A TIFF that says where its next page is."""
    moved = with_tag(tiff, 60_000, 4, 1, 5)
    return moved[:-4] + struct.pack("<I", offset)


def _entries(tiff: bytes, offset: int, number: int) -> Iterator[bytes]:
    for start, end in pairwise(range(offset + 2, offset + 2 + 12 * number + 1, 12)):
        yield tiff[start:end]


def _segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def _riff(chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def everything() -> list[Odd]:
    """All of them."""
    return [odd for make in (pngs, jpegs, gifs, webps, tiffs, bmps, avifs) for odd in make()]
