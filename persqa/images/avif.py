"""AVIF: how large the pictures are that a file makes its decoder decode, which its header need not say.

The decoder checks a picture's size against the header after it has decoded it. So everything that it may decode is
looked up before: the items of the file, and in each the AV1 data, which say how large their frames are.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from itertools import count, islice
from typing import TYPE_CHECKING

from PIL.AvifImagePlugin import AvifImageFile

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Longer lists have no pictures, but take long to read.
_LONGEST_LIST = 10_000
#: Of what belongs to which item; its decoder looks each up among all.
_LONGEST_LINKS = 2**16
#: More frames of one picture, one finer than the other, nobody writes.
_MOST_FRAMES = 8
#: What the decoder itself refuses to exceed.
_MOST_PIXELS = 2**28
_SEQUENCE, _FRAME_HEADER, _FRAME = 1, 3, 6


@dataclass(frozen=True, slots=True)
class Frames:
    """How many pixels the frames of a file have.

    Attributes:
        largest: of the largest frame, as announced.
        possible: of the largest frame that its decoder would take.
        together: of one frame of each picture in the file.
    """

    largest: int
    possible: int
    together: int


class AvifPicture(AvifImageFile):
    """A picture, not a film: of a film the picture that stands for it."""

    frames: Frames

    def _open(self) -> None:
        assert self.fp is not None
        data = self.fp.read()
        self.frames = frames_of(data)
        # Not the first of its frames, which lie elsewhere, but the item that was looked at.
        self.fp = BytesIO(data[:8] + b"avif" + data[12:])
        super()._open()


def frames_of(data: bytes) -> Frames:
    """The frames of all pictures in a file.

    Raises:
        ValueError: the file is none, or holds what pictures do not.
        IndexError: likewise.
    """
    units = islice(count(), _LONGEST_LIST)
    found = [_frames_of(sample, units) for sample in _samples(data)]
    if not found:
        raise ValueError("no picture in AV1")
    return Frames(
        max(frames.largest for frames in found),
        min(_MOST_PIXELS, max(frames.possible for frames in found)),
        sum(frames.largest for frames in found),
    )


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name of each box, and where its content begins and ends."""
    for _ in range(_LONGEST_LIST):
        if at + 8 > end:
            return
        size, start = _number(data, at, 4), at + 8
        if size == 1:
            size, start = _number(data, at + 8, 8), at + 16
        stop = end if size == 0 else min(end, at + size)
        if stop < start:
            raise ValueError("a box without a size")
        yield data[at + 4 : at + 8], start, stop
        at = stop
    raise ValueError("too many boxes")


def _number(data: bytes, at: int, size: int) -> int:
    if at + size > len(data):
        raise ValueError("a list that is cut")
    return int.from_bytes(data[at : at + size], "big")


def _samples(data: bytes) -> Iterator[bytes]:
    """The AV1 data of each picture."""
    meta = next(((start + 4, end) for name, start, end in _boxes(data, 0, len(data)) if name == b"meta"), (0, 0))
    boxes = {name: (start, end) for name, start, end in _boxes(data, *meta)}
    if not boxes.keys() >= {b"iinf", b"iloc"}:
        raise ValueError("no list of pictures")
    links = [box for box in _boxes(data, *boxes.get(b"iprp", (0, 0))) if box[0] == b"ipma"]
    for start, end in [*(box[1:] for box in links), boxes.get(b"iref", (0, 0))]:
        if end - start > _LONGEST_LINKS:
            raise ValueError("a list that is too long")
    pictures = set(_pictures(data, *boxes[b"iinf"]))
    inside = boxes.get(b"idat", (0, 0))
    left = len(data)
    for item, method, parts in _places(data, boxes[b"iloc"][0]):
        if item not in pictures:
            continue
        start, end = inside if method == 1 else (0, len(data))
        sample = list[bytes]()
        for offset, length in parts:
            part = data[start + offset : min(end, start + offset + length) if length else end]
            left -= len(part)
            # The same bytes again and again may be any number of pictures.
            if method > 1 or left < 0:
                raise ValueError("pictures within pictures")
            sample.append(part)
        yield b"".join(sample)


def _pictures(data: bytes, start: int, end: int) -> Iterator[int]:
    """The numbers of the items that are AV1."""
    wide = data[start] > 0
    for name, at, _ in _boxes(data, start + (8 if wide else 6), end):
        size = 4 if data[at] > 2 else 2
        kind = at + 4 + size + 2
        if name == b"infe" and data[kind : kind + 4] == b"av01":
            yield _number(data, at + 4, size)


def _places(data: bytes, at: int) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """The number of each item, where its bytes are counted from, and their offsets and lengths."""
    version, sizes = data[at], _number(data, at + 4, 2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0
    wide = 4 if version > 1 else 2
    number, at = _number(data, at + 6, wide), at + 6 + wide
    all_parts = 0
    for _ in range(_short(number)):
        item, at = _number(data, at, wide), at + wide
        method, at = (_number(data, at, 2) & 15, at + 2) if version else (0, at)
        base, at = _number(data, at + 2, base_size), at + 2 + base_size
        extents, at = _number(data, at, 2), at + 2
        parts = list[tuple[int, int]]()
        all_parts = _short(all_parts + extents)
        for _ in range(extents):
            at += index_size
            offset = base + _number(data, at, offset_size)
            parts.append((offset, _number(data, at + offset_size, length_size)))
            at += offset_size + length_size
        yield item, method, parts


def _short(number: int) -> int:
    if number > _LONGEST_LIST:
        raise ValueError("a list that is too long")
    return number


def _frames_of(sample: bytes, units: Iterator[int]) -> Frames:
    """The frames of one picture; of all pictures together, so many units are looked at."""
    sizes, number, at = list[tuple[int, int]](), 0, 0
    for _ in units:
        if at >= len(sample):
            break
        header = sample[at]
        at += 2 if header & 4 else 1
        size = len(sample) - at
        if header & 2:
            size, at = _leb128(sample, at)
        kind = header >> 3 & 15
        if kind == _SEQUENCE:
            sizes.append(_sizes(_Bits(sample[at : at + size])))
        number += kind in {_FRAME_HEADER, _FRAME}
        at += size
    if not sizes or number > _MOST_FRAMES:
        raise ValueError("no picture, or a film in the place of one")
    largest = max(announced for announced, _ in sizes)
    return Frames(largest, max(possible for _, possible in sizes), largest)


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    """A number of any length, and where it ends."""
    value = 0
    for place in range(8):
        value |= (data[at + place] & 0x7F) << 7 * place
        if data[at + place] < 0x80:
            return value, at + place + 1
    raise ValueError("a number without an end")


class _Bits:
    """Reads numbers bit by bit."""

    def __init__(self, data: bytes) -> None:
        self._all = int.from_bytes(data[:256], "big")
        self._left = 8 * len(data[:256])

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError("a header that is cut")
        return self._all >> self._left & (1 << count) - 1


def _sizes(bits: _Bits) -> tuple[int, int]:
    """Pixels of a frame as a sequence header announces them, and the most that one of its frames may have."""
    bits.take(4)
    is_one_picture = bits.take(1)
    if is_one_picture:
        bits.take(5)
    else:
        _skip_times(bits)
    wide, high = bits.take(4) + 1, bits.take(4) + 1
    announced = (bits.take(wide) + 1) * (bits.take(high) + 1)
    return announced, announced if is_one_picture else 1 << wide + high


def _skip_times(bits: _Bits) -> None:
    """Skip what a film says of its times and of who may decode it."""
    delay = 0
    if bits.take(1):
        bits.take(64)
        if bits.take(1):
            _skip_number(bits)
        if bits.take(1):
            delay = bits.take(5) + 1
            bits.take(42)
    has_delay = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if delay and bits.take(1):
            bits.take(2 * delay + 1)
        if has_delay and bits.take(1):
            bits.take(4)


def _skip_number(bits: _Bits) -> None:
    zeros = 0
    while not bits.take(1):
        zeros += 1
    bits.take(zeros)
