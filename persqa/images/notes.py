"""Pictures without what is not pixels: notes, profiles, later frames, wrong sizes and sums of them.

Decoders refuse a picture because of a note that they cannot read, and unpack notes that nobody reads. What remains here
is what the first picture of a file looks like, and which way is up. Where a file makes no sense, it stays as it is: its
decoder says why.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING, Literal

from persqa.images.jpeg_ends import MARK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PNG_START = 8
#: The chunks of a PNG that must be right; `eXIf` and `tRNS` count as well, whatever their checksum.
_PNG_PIXELS = frozenset({b"IHDR", b"PLTE", b"IDAT"})
#: Texts of a PNG that may say which way is up.
_PNG_TEXTS = frozenset({b"Raw profile type exif", b"XML:com.adobe.xmp"})
_LONGEST_TEXT = 2**20
#: The shortest transparency, by the kind of colour.
_PNG_CLEAR = {0: 2, 2: 6, 3: 1}

_GIF_START = 13
#: Extension, picture, end.
_GIF_MARK = re.compile(rb"[\x21\x2c\x3b]")
_WEBP_START = 12
#: The chunks of a WebP that are pixels, or say which way is up.
_WEBP_KEPT = frozenset({b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"EXIF"})
#: What the first chunk of a WebP says of others.
_WEBP_PROFILE, _WEBP_EXIF, _WEBP_XMP = 0x20, 0x08, 0x04

#: In the list of an AVIF's items: version, number and protection, behind which there is the kind.
_AVIF_EXIF = re.compile(rb"(infe(?:\x02.{7}|\x03.{9}))Exif", re.DOTALL)
_MOST_AVIF_EXIF = 4


def without_notes(name: str, data: bytes) -> bytes:
    """The content of a picture of the named format, without what is not pixels."""
    strip = _BY_NAME.get(name)
    try:
        return data if strip is None else strip(data)
    except (IndexError, struct.error):
        return data


def _png(data: bytes) -> bytes:
    kept, texts = list[bytes | memoryview]([data[:_PNG_START]]), set[bytes]()
    for name, body, chunk in _png_chunks(data):
        if name in _PNG_PIXELS:
            kept.append(chunk)
        elif name == b"eXIf" or (name == b"tRNS" and len(body) >= _PNG_CLEAR.get(data[25], 0)):
            kept.append(_png_chunk(name, bytes(body)))
        elif name in {b"tEXt", b"zTXt", b"iTXt"}:
            key, _, text = bytes(body).partition(b"\0")
            if key in _PNG_TEXTS - texts and _is_short(name, text):
                texts.add(key)
                kept.append(_png_chunk(name, bytes(body)))
        elif name == b"IEND":
            break
    return b"".join([*kept, _png_chunk(b"IEND", b"")])


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, bytes | memoryview]]:
    """Name and content of each chunk, and the whole chunk; the last one may be cut."""
    at, view = _PNG_START, memoryview(data)
    while at + 8 < len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        name, body = data[at + 4 : at + 8], view[at + 8 : end]
        is_whole = end + 4 <= len(data)
        # A note that is cut says nothing, but pixels do.
        if is_whole or name == b"IDAT":
            yield name, body, view[at : end + 4] if is_whole else _png_chunk(name, bytes(body))
        at = end + 4


def _png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _is_short(name: bytes, text: bytes) -> bool:
    """Whether a text of a PNG, behind its key, is no bomb and packed in a known way."""
    if name == b"zTXt":
        packed = text[1:] if text[:1] == b"\0" else b"?"
    elif name == b"iTXt" and text[:1] != b"\0":
        packed = text[2:].split(b"\0", 2)[-1] if text[1:2] == b"\0" else b"?"
    else:
        return len(text) <= _LONGEST_TEXT
    try:
        unpacking = zlib.decompressobj()
        unpacking.decompress(packed, _LONGEST_TEXT)
    except zlib.error:
        return False
    return not unpacking.unconsumed_tail


def _jpeg(data: bytes) -> bytes:
    kept, at = [data[:2]], 2
    # Filling and garbage are skipped.
    while mark := MARK.search(data, at):
        at = mark.start()
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if mark[1] in {b"\xd9", b"\xda"}:
            return b"".join([*kept, data[at:]])
        if _is_of_use(mark[1][0], data[at + 4 : end]):
            kept.append(data[at:end])
        at = end
    return data


def _is_of_use(marker: int, body: bytes) -> bool:
    """Whether a segment of a JPEG says something of its pixels, or which way is up."""
    if marker == 0xE0:
        return body.startswith(b"JFIF\0") and len(body) >= 12
    if marker == 0xE1:
        return body.startswith(b"Exif\0\0")
    if marker == 0xEE:
        return body.startswith(b"Adobe") and len(body) >= 12
    return not 0xE2 <= marker <= 0xEF and marker != 0xFE


def _gif(data: bytes) -> bytes:
    start = at = _GIF_START + _gif_colours(data[10])
    control = b""
    while (mark := _GIF_MARK.search(data, at)) and mark[0] != b"\x3b":
        at = mark.start()
        if mark[0] == b"\x2c":
            return b"".join([data[:start], control, *_gif_picture(data, at), b"\0\x3b"])
        end = _behind_blocks(data, at + 2)
        # What is said of the picture's transparency has four bytes.
        control = data[at:end] if data[at + 1 : at + 3] == b"\xf9\4" else control
        at = end
    return data


def _gif_colours(flags: int) -> int:
    """The bytes of a GIF's table of colours."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _gif_picture(data: bytes, at: int) -> Iterator[bytes]:
    """Header and blocks of a picture; the last block may be cut."""
    blocks = at + 11 + _gif_colours(data[at + 9])
    yield data[at:blocks]
    at = blocks
    while block := data[at + 1 : at + 1 + data[at]] if at < len(data) else b"":
        yield bytes([len(block)]) + block
        at += 1 + len(block)


def _behind_blocks(data: bytes, at: int) -> int:
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return min(at + 1, len(data))


def _webp(data: bytes) -> bytes:
    found = dict[bytes, bytes]()
    kept, at = list[tuple[bytes, bytes]](), _WEBP_START
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + size]
        if len(body) < size and name != b"EXIF":
            break
        if name == b"VP8X":
            found[name] = body
        elif name in _WEBP_KEPT and len(body) == size:
            found[name] = body
            kept.append((name, body))
        at += 8 + size + size % 2
    if header := found.get(b"VP8X"):
        flags = header[0] & ~(_WEBP_PROFILE | _WEBP_XMP | _WEBP_EXIF) | (_WEBP_EXIF if b"EXIF" in found else 0)
        kept.insert(0, (b"VP8X", bytes([flags]) + header[1:]))
    chunks = b"".join(name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2) for name, body in kept)
    return data[:4] + struct.pack("<I", len(chunks) + 4) + data[8:12] + chunks


def _tiff(data: bytes) -> bytes:
    """With the place of the next page behind the list of tags, where the file ends in it."""
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
    start = int.from_bytes(data[4:8], order)
    end = start + 2 + 12 * int.from_bytes(data[start : start + 2], order) + 4
    return data + bytes(end - len(data)) if end - 4 <= len(data) < end else data


def _avif(data: bytes) -> bytes:
    """With items that nobody knows in the place of its EXIF data."""
    return _AVIF_EXIF.sub(rb"\1none", data, _MOST_AVIF_EXIF)


_BY_NAME: dict[str, Callable[[bytes], bytes]] = {
    "PNG": _png,
    "JPEG": _jpeg,
    "GIF": _gif,
    "WebP": _webp,
    "TIFF": _tiff,
    "AVIF": _avif,
}
