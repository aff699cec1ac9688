"""JPEG files without the mark of their end: whether any of their pixels are missing, too.

A decoder makes up whatever is missing, so it cannot be asked. But of files that go on differently behind the cut it
makes the same picture only if it needs nothing of what is behind it.
"""

from __future__ import annotations

import re
from itertools import chain, islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_END = b"\xff\xd9"
#: Packed pixels of other pictures. Where an end makes a decoder go on with zeros, these go on with ones.
_OTHERS = tuple(
    first + bytes((step * number + 11) % 251 for number in range(60)) for first, step in [(b"\xfe", 37), (b"\xaa", 101)]
)
_LAST_RESTART = re.compile(rb".*\xff([\xd0-\xd7])", re.DOTALL)
#: Of a segment; behind other marks there is nothing, or they are packed pixels.
MARK = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd8])", re.DOTALL)
_SCAN = 0xDA
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: A progressive picture has so many parts in each colour.
_PARTS = 64
#: More than anybody writes, in front of the last scan.
_MOST_SEGMENTS = 10_000


def ends_of(data: bytes) -> list[bytes]:
    """Ways for a file to go on where it is cut; none if it has an end, or is surely without some pixels."""
    if data.endswith(_END):
        return []
    segments = list(islice(_segments(data), _MOST_SEGMENTS))
    start = next((at for marker, at in segments if marker == _SCAN), None)
    try:
        if start is None or data.find(_END, start) >= 0 or not _are_all_begun(data, segments):
            return []
    except (IndexError, KeyError, ValueError):
        return []
    # Where the cut is in front of a restart, a decoder takes nothing before it has found its mark.
    last = _LAST_RESTART.match(data, start)
    restart = 0xD0 if last is None else 0xD0 + (last[1][0] + 1) % 8
    return [_END, *(others + bytes([0xFF, restart]) + others + _END for others in _OTHERS)]


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Marker of each segment, and where its length is."""
    at = 2
    while (mark := MARK.search(data, at)) and mark.end() + 2 <= len(data):
        yield mark[1][0], mark.end()
        at = mark.end() + int.from_bytes(data[mark.end() : mark.end() + 2], "big")


def _are_all_begun(data: bytes, segments: list[tuple[int, int]]) -> bool:
    """Whether the file has come to the last scan of each part of each colour."""
    # How many bits of each part are still to come, by colour.
    missing = dict[int, list[int]]()
    is_progressive = False
    for marker, at in segments:
        if marker in _FRAMES:
            is_progressive = marker in _PROGRESSIVE
            missing = dict.fromkeys(data[at + 8 : at + 8 + 3 * data[at + 7] : 3], [1] * _PARTS)
        elif marker == _SCAN:
            number = data[at + 2]
            first, last, bits = data[at + 3 + 2 * number : at + 6 + 2 * number]
            done = slice(first, last + 1) if is_progressive else slice(None)
            for colour in data[at + 3 : at + 3 + 2 * number : 2]:
                left = list(missing[colour])
                left[done] = [bits & 0x0F if is_progressive else 0] * len(left[done])
                missing[colour] = left
    return bool(missing) and not any(chain.from_iterable(missing.values()))
