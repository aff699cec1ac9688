"""The flags and the hash of a picture, from the pixels that were decoded anyway.

Few of them are looked at, so that a large picture costs no more than a small one. The hash is a difference hash: each
bit says whether a cell is lighter than its neighbour. Why this one: docs/quality.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageChops

from persqa.flags.flag import Finding, Flag

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

#: A picture with a shorter side, in pixels, is tiny.
_TINY_SIDE: Final = 64
#: Places that are looked at: so many in a row, and so many rows. What is sharp changes from one place to the next.
_WIDE, _HIGH = 144, 36
#: The hash has 8 rows and columns of cells, and a neighbour for the last of each.
_CELLS: Final = 8
#: A cell is lighter than its neighbour by more than so many steps of 256: less is what encoding does to one colour.
_LIGHTER: Final = 2
#: Between the lightest and the darkest cell of a blank picture are at most so many steps, and so many between places.
_BLANK_CELLS, _BLANK_PLACES = 6, 48
#: From one place to the next a sharp picture changes by this part of its contrast at more places than so many.
_BLURRED: Final = 0.18
_STEEPEST: Final = 12
#: By place, whether the neighbour is the one below: each other one is the one to the right.
_BELOW: Final = [((place // _CELLS + place) % 2 == 1) for place in range(_CELLS * _CELLS)]
#: By place, the cell and its neighbour.
_NEIGHBOURS: Final = [
    (cell := place // _CELLS * (_CELLS + 1) + place % _CELLS, cell + (_CELLS + 1 if below else 1))
    for place, below in enumerate(_BELOW)
]


@dataclass(frozen=True, slots=True)
class PictureLook:
    """What was seen in one picture.

    Attributes:
        hash: 64 bits; those of two pictures that look the same differ in few. Signed, as databases have it.
    """

    findings: tuple[Finding, ...]
    hash: int


def look_at(image: Picture) -> PictureLook:
    """Look at a decoded picture."""
    places = _places(image, (_WIDE, _HIGH))
    cells = places.resize((_CELLS + 1, _CELLS + 1), Image.Resampling.BOX).tobytes()
    findings: list[Finding] = []
    contrast = _contrast(places)
    if max(cells) - min(cells) <= _BLANK_CELLS and contrast <= _BLANK_PLACES:
        findings.append(Finding(Flag.BLANK, 1.0))
    elif (blur := _blur(image, places, contrast)) is not None:
        findings.append(Finding(Flag.BLURRED, blur))
    if min(image.size) < _TINY_SIDE:
        findings.append(Finding(Flag.TINY, 1.0))
    return PictureLook(tuple(findings), _hash(cells))


def _places(image: Picture, size: tuple[int, int]) -> Picture:
    return image.resize(size, Image.Resampling.NEAREST).convert("L")


def _contrast(places: Picture) -> int:
    low, high = places.getextrema()
    return high - low if isinstance(high, int) and isinstance(low, int) else 0


def _hash(cells: bytes) -> int:
    bits = 0
    for cell, neighbour in _NEIGHBOURS:
        bits = bits << 1 | (cells[cell] > cells[neighbour] + _LIGHTER)
    return bits - 2**64 if bits >> 63 else bits


def _blur(image: Picture, places: Picture, contrast: int) -> float | None:
    """How blurred it is, from 0 to 1; None if it has sharp edges, upright or lying."""
    least = max(1, round(_BLURRED * contrast))
    wide, high = places.size
    upright = ImageChops.difference(places.crop((1, 0, wide, high)), places.crop((0, 0, wide - 1, high))).histogram()
    if sum(upright[least:]) > _STEEPEST:
        return None
    # Only now: most pictures have upright edges.
    places = _places(image, (high, wide))
    lying = ImageChops.difference(places.crop((0, 1, high, wide)), places.crop((0, 0, high, wide - 1))).histogram()
    if sum(lying[least:]) > _STEEPEST:
        return None
    steepest = max(_steepest(upright, least), _steepest(lying, least))
    return round(1 - steepest / least, 3)


def _steepest(changes: list[int], least: int) -> int:
    """The change from one place to the next that only few exceed."""
    many = sum(changes[least:])
    for change in range(least - 1, 0, -1):
        many += changes[change]
        if many > _STEEPEST:
            return change
    return 0
