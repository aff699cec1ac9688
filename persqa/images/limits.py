"""ImageLimits and Resolution: which images are allowed, and how much of one is needed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from persqa.settings import Settings


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
    """The size to which a model scales larger images down, keeping their shape.

    Attributes:
        edge: longest edge, in pixels; None for no limit.
        pixels: greatest width times height; None for no limit.
    """

    edge: int | None = None
    pixels: int | None = None

    def of(self, width: int, height: int) -> tuple[int, int]:
        """The width and height, in pixels, to which an image of this size is scaled down."""
        scale = 1.0
        if self.edge is not None:
            scale = min(scale, self.edge / max(width, height))
        if self.pixels is not None:
            scale = min(scale, math.sqrt(self.pixels / (width * height)))
        return math.ceil(width * scale), math.ceil(height * scale)
