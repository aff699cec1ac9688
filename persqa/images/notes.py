"""Pictures without what is not pixels: notes, profiles, later frames, wrong sizes and sums of them.

Decoders refuse a picture because of a note that they cannot read, and unpack notes that nobody reads; Pillow looks at
each part of a file in Python, and at each byte between them. What remains here is what the first picture of a file is,
and which way is up; of more parts than anybody writes, the first. What makes no sense is left to the decoder.
"""

from __future__ import annotations

import re
import struct
import zlib
from itertools import islice
from typing import TYPE_CHECKING

from persqa.images.jpeg_ends import MARK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Of what is in front of the pixels, or between them.
_MOST_PARTS = 100_000
#: Of one kind, in bytes.
_LONGEST_NOTES = 2**20
_LONGEST_HEADER = 2**16

_PNG_START = 8
#: EXIF data and XMP, of 64 KiB each at most.
_MOST_JPEG_NOTES = 100
_JPEG_FILL = b"\xff" * 1000
#: The chunks of a PNG that must be right; `eXIf` and `tRNS` count as well, whatever their checksum.
_PNG_PIXELS = frozenset({b"IHDR", b"PLTE", b"IDAT"})
#: Texts of a PNG that may say which way is up.
_PNG_TEXTS = frozenset({b"Raw profile type exif", b"XML:com.adobe.xmp"})
#: The shortest transparency, by the kind of colour.
_PNG_CLEAR = {0: 2, 2: 6, 3: 1}

_GIF_START = 13
#: They are 255 bytes long, as a rule.
_MOST_GIF_BLOCKS = 1_000_000
#: Extension, picture, end.
_GIF_MARK = re.compile(rb"[\x21\x2c\x3b]")
_WEBP_START = 12
#: The chunks of a WebP that are pixels, or say which way is up.
_WEBP_KEPT = frozenset({b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"EXIF", b"XMP "})
#: What the first chunk of a WebP says of others.
_WEBP_PROFILE = 0x20
_WEBP_NOTES = {b"EXIF": 0x08, b"XMP ": 0x04}

#: Tags of a TIFF above these are notes.
_MOST_TIFF_TAG, _TIFF_XMP = 600, 700

#: How many pixels a byte of a packed BMP is.
_BMP_RUNS = {1: 1, 2: 2}
_MOST_BMP_RUNS = 600_000
#: What two bytes say, of which the first is zero.
_BMP_END, _BMP_SHIFT = 1, 2

#: In the list of an AVIF's items: version, number and protection, behind which there is the kind.
_AVIF_EXIF = re.compile(rb"(infe(?:\x02.{7}|\x03.{9}))Exif", re.DOTALL)
_MOST_AVIF_EXIF = 4


def without_notes(name: str, data: bytes) -> bytes:
    """The content of a picture of the named format, without what is not pixels."""
    strip = _BY_NAME.get(name)
    try:
        return data if strip is None else strip(data)
    except (IndexError, struct.error):
        # It ends in its header, or is none.
        return data[:_LONGEST_HEADER]


def _png(data: bytes) -> bytes:
    kept, texts = list[bytes | memoryview]([data[:_PNG_START]]), set[bytes]()
    pixels, place = list[memoryview](), 0
    for name, body, chunk in islice(_png_chunks(data), _MOST_PARTS):
        if name == b"IDAT":
            place = place or len(kept)
            pixels.append(body)
        elif name in _PNG_PIXELS:
            kept.append(chunk)
        elif name == b"eXIf" or (name == b"tRNS" and len(body) >= _PNG_CLEAR.get(data[25], 0)):
            kept.append(_png_chunk(name, bytes(body)))
        elif name in {b"tEXt", b"zTXt", b"iTXt"}:
            kept += _png_text(name, bytes(body), texts)
        elif name == b"IEND":
            break
    kept[place:place] = _png_pixels(pixels)
    return b"".join([*kept, _png_chunk(b"IEND", b"")])


def _png_pixels(parts: list[memoryview]) -> list[bytes | memoryview]:
    """The packed pixels in one chunk, whose sum nobody looks at: they have their own."""
    size = struct.pack(">I", sum(len(part) for part in parts))
    return [size, b"IDAT", *parts, bytes(4)] if parts else []


def _png_text(name: bytes, body: bytes, seen: set[bytes]) -> list[bytes]:
    """The chunk of a text that may say which way is up; only the first of each key is looked into."""
    key, _, text = body.partition(b"\0")
    is_new = key in _PNG_TEXTS - seen
    seen.update({key} & _PNG_TEXTS)
    return [_png_chunk(name, body)] if is_new and _is_short(name, text) else []


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
        return len(text) <= _LONGEST_NOTES
    try:
        unpacking = zlib.decompressobj()
        unpacking.decompress(packed, _LONGEST_NOTES)
    except zlib.error:
        return False
    return not unpacking.unconsumed_tail


def _jpeg(data: bytes) -> bytes:
    kept, at = list[bytes | memoryview]([data[:2]]), 2
    size = notes = 0
    # Filling and garbage are skipped.
    for _ in range(_MOST_PARTS):
        if (mark := MARK.search(data, at)) is None:
            break
        at = mark.start()
        if mark[1] == b"\xda":
            return b"".join([*kept, _without_fill(data, at)])
        if mark[1] == b"\xd9":
            break
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if _is_of_use(mark[1][0], data[at + 4 : end]):
            is_note = mark[1] == b"\xe1"
            notes, size = notes + is_note, size + (0 if is_note else end - at)
            if notes <= _MOST_JPEG_NOTES if is_note else size <= _LONGEST_HEADER:
                kept.append(data[at:end])
        at = end
    return b"".join([*kept, b"\xff\xd9"])


def _without_fill(data: bytes, at: int) -> bytes | memoryview:
    """From here on; what a decoder skips in front of a mark, it would skip again with each part that it is given."""
    tail = memoryview(data)[at:]
    return tail if data.find(_JPEG_FILL, at) < 0 else re.sub(_JPEG_FILL + rb"+", b"\xff", tail)


def _is_of_use(marker: int, body: bytes) -> bool:
    """Whether a segment of a JPEG says something of its pixels, or which way is up."""
    if marker == 0xE0:
        return body.startswith(b"JFIF\0") and len(body) >= 12
    if marker == 0xE1:
        return body.startswith((b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"))
    if marker == 0xEE:
        return body.startswith(b"Adobe") and len(body) >= 12
    return not 0xE2 <= marker <= 0xEF and marker != 0xFE


def _gif(data: bytes) -> bytes:
    start = at = _GIF_START + _gif_colours(data[10])
    control = b""
    left = _MOST_PARTS
    while (mark := _GIF_MARK.search(data, at)) and mark[0] != b"\x3b":
        at = mark.start()
        if mark[0] == b"\x2c":
            return b"".join([data[:start], control, *_gif_picture(data, at), b"\0\x3b"])
        last, left = _last_block(data, at + 2, left - 1)
        end = min(last + 1, len(data))
        # What is said of the picture's transparency has four bytes.
        if data[at + 1] == 0xF9 and data[at + 2] >= 4 and data[at + 3] & 1:
            control = data[at:end]
        at = end
    return data[:start]


def _gif_colours(flags: int) -> int:
    """The bytes of a GIF's table of colours."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _gif_picture(data: bytes, at: int) -> Iterator[bytes | memoryview]:
    """Header and blocks of a picture; the last block may be cut."""
    blocks = at + 11 + _gif_colours(data[at + 9])
    last, _ = _last_block(data, blocks, _MOST_GIF_BLOCKS)
    yield memoryview(data)[at:last]
    if block := data[last + 1 :] if last < len(data) and data[last] else b"":
        yield bytes([len(block)]) + block


def _last_block(data: bytes, at: int, most: int) -> tuple[int, int]:
    """Where the empty block behind others is, or one that is cut, or the end of the data; and how many may follow."""
    size = len(data)
    for left in range(most, -1, -1):
        if at >= size or not data[at] or at + 1 + data[at] > size:
            return at, left
        at += 1 + data[at]
    raise IndexError


def _webp(data: bytes) -> bytes:
    found = dict[bytes, memoryview]()
    kept, at, view = list[bytes | memoryview](), _WEBP_START, memoryview(data)
    for _ in range(_MOST_PARTS):
        if at + 8 > len(data):
            break
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = view[at + 8 : at + 8 + size]
        if len(body) < size and name != b"EXIF":
            break
        if name == b"VP8X":
            found[name] = body
        elif name in _WEBP_KEPT and len(body) == size:
            found[name] = body
            kept += [view[at : at + 8], body, bytes(size % 2)]
        at += 8 + size + size % 2
    if header := found.get(b"VP8X"):
        flags = header[0] & ~_WEBP_PROFILE
        for name, flag in _WEBP_NOTES.items():
            flags &= ~0 if name in found else ~flag
        padding = bytes(len(header) % 2)
        kept = [b"VP8X", struct.pack("<I", len(header)), bytes([flags]), header[1:], padding, *kept]
    size = 4 + sum(len(part) for part in kept)
    return b"".join([data[:4], struct.pack("<I", size), data[8:12], *kept])


def _tiff(data: bytes) -> bytes:
    """With those tags only that say something of pixels, and no next page."""
    order = "<" if data[:2] == b"II" else ">"
    is_big = data[2 if order == "<" else 3] == 43
    (start,) = struct.unpack_from(order + ("Q" if is_big else "I"), data, 8 if is_big else 4)
    number, entry = (struct.Struct(order + form) for form in (("Q", "HHQ8s") if is_big else ("H", "HHI4s")))
    begin = start + number.size
    end = begin + entry.size * min(_MOST_PARTS, *number.unpack_from(data, start))
    listed = data[begin:end]
    tags = [
        entry.pack(tag, *rest)
        for tag, *rest in entry.iter_unpack(listed[: len(listed) // entry.size * entry.size])
        if rest[1] <= (_MOST_PARTS if tag < _MOST_TIFF_TAG else _LONGEST_NOTES if tag == _TIFF_XMP else -1)
    ]
    page = b"".join([number.pack(len(tags)), *tags, bytes(8 if is_big else 4)])
    view = memoryview(data)
    return b"".join([view[:start], page, view[start + len(page) :]])


def _bmp(data: bytes) -> bytes:
    """With not too many runs of pixels, where they are packed; they are unpacked in Python."""
    at, size, packing = (int.from_bytes(data[place : place + 4], "little") for place in (10, 14, 30))
    if size < 40 or packing not in _BMP_RUNS:
        return data
    for _ in range(_MOST_BMP_RUNS):
        if at + 2 > len(data):
            return data
        count, value = data[at], data[at + 1]
        at += 2
        if count:
            continue
        if value == _BMP_END:
            return data
        if value == _BMP_SHIFT:
            at += 2
        elif value > _BMP_SHIFT:
            at += -(-value // _BMP_RUNS[packing])
            at += at % 2
    return data[:at]


def _avif(data: bytes) -> bytes:
    """With items that nobody knows in the place of its EXIF data."""
    return _AVIF_EXIF.sub(rb"\1none", data, _MOST_AVIF_EXIF)


_BY_NAME: dict[str, Callable[[bytes], bytes]] = {
    "PNG": _png,
    "JPEG": _jpeg,
    "GIF": _gif,
    "WebP": _webp,
    "TIFF": _tiff,
    "BMP": _bmp,
    "AVIF": _avif,
}
