"""The flags and the hash of a picture, from the pixels that were decoded anyway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from persqa.flags.flag import Finding, Flag

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

#: A picture with a shorter side, in pixels, is tiny.
_TINY_SIDE = 32
#: Samples that are looked at: so many wide and high for each cell of the hash.
_SAMPLES = 8
#: The hash compares each of 8 rows of 9 cells with its right neighbour.
_ROWS, _COLUMNS = 8, 9
#: Between the lightest and the darkest sample of a blank picture there are at most so many steps of 256.
_BLANK_STEPS = 8


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
    # Imported here: most programs know flags, and open no picture.
    from PIL import Image

    samples = image.resize((_COLUMNS * _SAMPLES, _ROWS * _SAMPLES), Image.Resampling.NEAREST).convert("L")
    findings: list[Finding] = []
    grey = samples.tobytes()
    if max(grey) - min(grey) <= _BLANK_STEPS:
        findings.append(Finding(Flag.BLANK, 1.0))
    if min(image.size) < _TINY_SIDE:
        findings.append(Finding(Flag.TINY, 1.0))
    return PictureLook(tuple(findings), _hash(samples))


def _hash(samples: Picture) -> int:
    from PIL import Image

    cells = samples.resize((_COLUMNS, _ROWS), Image.Resampling.BOX).tobytes()
    bits = 0
    for row in range(0, len(cells), _COLUMNS):
        for place in range(row, row + _COLUMNS - 1):
            bits = bits << 1 | (cells[place] > cells[place + 1])
    return bits - 2**64 if bits >> 63 else bits
