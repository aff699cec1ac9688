"""ImageLimits and Resolution: what an image may be, where it may come from, and how much of it is needed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLimits:
    """What an image may be, and where it may come from.

    Attributes:
        roots: folders a file may lie under; none means the base folder of the call.
        max_pixels: width times height, at most.
        max_bytes: size of the file, at most.
        hosts: of URLs, in lower case; `*.example.com` is all below example.com, `*` any; none means no URL at all.
        stores: beginnings that the URL of an object may have, such as s3://bucket/prefix; none means no object.
        allow_private: whether a host may be in this network or on this machine.
        seconds: how long reading one image may take, where it comes from a server.
    """

    roots: tuple[Path, ...]
    max_pixels: int
    max_bytes: int
    hosts: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    allow_private: bool = False
    seconds: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """How much of a picture a model looks at; what is larger it scales down, and the shape stays.

    Attributes:
        edge: pixels on the longer edge, at most; None where any number goes.
        pixels: width times height, at most; None where any number goes.
    """

    edge: int | None = None
    pixels: int | None = None

    def of(self, width: int, height: int) -> tuple[int, int]:
        """The width and height in pixels at which the model looks at a picture of this size."""
        scale = 1.0
        if self.edge is not None:
            scale = min(scale, self.edge / max(width, height))
        if self.pixels is not None:
            scale = min(scale, math.sqrt(self.pixels / (width * height)))
        return math.ceil(width * scale), math.ceil(height * scale)
