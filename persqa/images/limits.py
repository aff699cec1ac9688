"""ImageLimits and Resolution: which images are allowed, and how much of one is needed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from persqa.settings import Settings

#: Models that see whole units refuse a longer side that is more times the shorter one.
_LONGEST_SHAPE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLimits:
    """Which images are allowed, and from where.

    Attributes:
        roots: folders that files may be in; if empty, the base folder of the call.
        max_pixels: greatest width times height.
        max_bytes: greatest size of the file.
        hosts: allowed hosts of URLs, in lower case; `*.example.com` for all below example.com, `*` for any.
        stores: allowed prefixes of objects' URLs, such as s3://bucket/prefix.
        allow_private: whether a host may be in a private network or on this machine.
        seconds: longest time for reading one image from a server.
        user_agent: what web servers are told that asks; if empty, persqa and its version.
    """

    roots: tuple[Path, ...]
    max_pixels: int
    max_bytes: int
    hosts: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    allow_private: bool = False
    seconds: float = 30.0
    user_agent: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """What the settings allow."""
        return cls(
            roots=tuple(settings.image_roots),
            max_pixels=settings.max_image_pixels,
            max_bytes=settings.max_image_bytes,
            hosts=tuple(settings.image_hosts),
            stores=tuple(settings.image_stores),
            allow_private=settings.image_allow_private,
            seconds=settings.image_seconds,
            user_agent=settings.image_user_agent,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The size at which a model sees an image; larger ones are scaled down, keeping their shape.

    Attributes:
        edge: longest edge, in pixels; None for no limit.
        pixels: greatest width times height; None for no limit.
        unit: width and height are multiples of it, in pixels; None where they may be anything. Then the size is the
            model's very own, so that nothing is left to scale for it.
        least: smallest width times height in such units; a smaller image keeps its size, for the model enlarges it.
        scaled: whether images are scaled when they are decoded. If not, this only says how much of one is decoded, and
            the engine scales it.
    """

    edge: int | None = None
    pixels: int | None = None
    unit: int | None = None
    least: int = 0
    scaled: bool = True

    def of(self, width: int, height: int) -> tuple[int, int]:
        """The width and height, in pixels, to which an image of this size is scaled."""
        if self.unit is not None and self.pixels is not None:
            return self._in_units(width, height, self.unit, self.pixels)
        scale = 1.0
        if self.edge is not None:
            scale = min(scale, self.edge / max(width, height))
        if self.pixels is not None:
            scale = min(scale, math.sqrt(self.pixels / (width * height)))
        return math.ceil(width * scale), math.ceil(height * scale)

    def _in_units(self, width: int, height: int, unit: int, pixels: int) -> tuple[int, int]:
        """As Qwen2-VL and its relatives do it; what they refuse keeps its size, for they name that."""
        across, down = round(width / unit), round(height / unit)
        if max(width, height) > _LONGEST_SHAPE * min(width, height):
            return width, height
        if across * down * unit**2 > pixels:
            shrink = unit * math.sqrt(width * height / pixels)
            across, down = max(1, math.floor(width / shrink)), max(1, math.floor(height / shrink))
        elif across * down * unit**2 < max(1, self.least):
            return width, height
        return across * unit, down * unit
