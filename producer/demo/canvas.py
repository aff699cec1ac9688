"""Canvas: simple shapes, drawn large and then reduced for smooth edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageChops, ImageColor, ImageDraw

#: Edge of a picture, in the units of all drawing.
EDGE: Final = 512
#: How far the figure reaches beyond the picture, so that it can be moved; in units.
MARGIN: Final = 80
#: The dark colour of outlines.
INK: Final = "#2f2a33"

Point = tuple[float, float]


class Canvas:
    """A transparent surface that reaches `MARGIN` units beyond the picture on every side.

    Coordinates are those of the picture: (0, 0) is its top left corner, (512, 512) its bottom right one.
    """

    def __init__(self, zoom: float) -> None:
        """Make an empty one; `zoom` is in pixels per unit."""
        self.zoom = zoom
        edge = round((EDGE + 2 * MARGIN) * zoom)
        self.image = Image.new("RGBA", (edge, edge))
        self._draw = ImageDraw.Draw(self.image)

    def oval(self, x: float, y: float, rx: float, ry: float, colour: str) -> None:
        """An ellipse around a centre."""
        self._draw.ellipse(self._box(x, y, rx, ry), fill=colour)

    def dot(self, x: float, y: float, radius: float, colour: str) -> None:
        """A circle."""
        self.oval(x, y, radius, radius, colour)

    def shape(self, colour: str, *points: Point) -> None:
        """A polygon."""
        self._draw.polygon(self._points(points), fill=colour)

    def bar(self, corners: tuple[float, float, float, float], radius: float, colour: str) -> None:
        """A rectangle with round corners."""
        self._draw.rounded_rectangle([self._pixel(c) for c in corners], radius * self.zoom, fill=colour)

    def line(self, colour: str, width: float, *points: Point) -> None:
        """A line through points, with round joints and ends."""
        for x, y in points:
            self.dot(x, y, width / 2, colour)
        self._draw.line(self._points(points), colour, round(width * self.zoom))

    def arc(self, centre: Point, radii: Point, angles: Point, colour: str, width: float) -> None:
        """A part of the outline of an ellipse; angles in degrees, clockwise from the right."""
        self._draw.arc(self._box(*centre, *radii), *angles, fill=colour, width=round(width * self.zoom))

    def bowl(self, x: float, y: float, rx: float, ry: float, colour: str) -> None:
        """The lower half of an ellipse."""
        self._draw.pieslice(self._box(x, y, rx, ry), 0, 180, fill=colour)

    def crescent(self, outer: Sequence[float], inner: Sequence[float], colour: str) -> None:
        """An ellipse less another one; each as x, y, rx, ry."""
        window = self._window(outer)
        mask = ImageChops.subtract(self._mask(outer, window), self._mask(inner, window))
        self.image.paste(colour, window, mask)

    def overlap(self, first: Sequence[float], second: Sequence[float], colour: str) -> None:
        """The intersection of two ellipses; each as x, y, rx, ry."""
        window = self._window(first)
        mask = ImageChops.multiply(self._mask(first, window), self._mask(second, window))
        self.image.paste(colour, window, mask)

    def glow(self, x: float, y: float, rx: float, ry: float, colour: str, strength: float) -> None:
        """A translucent ellipse over what is painted already."""
        window = self._window((x, y, rx, ry))
        mask = self._mask((x, y, rx, ry), window).point(lambda value: value * strength)
        tint = Image.new("RGBA", mask.size, colour)
        below = self.image.crop(window)
        mixed = Image.composite(tint, below, mask)
        mixed.putalpha(below.getchannel("A"))
        self.image.paste(mixed, window)

    def _pixel(self, unit: float) -> float:
        return (unit + MARGIN) * self.zoom

    def _points(self, points: Sequence[Point]) -> list[Point]:
        return [(self._pixel(x), self._pixel(y)) for x, y in points]

    def _box(self, x: float, y: float, rx: float, ry: float) -> tuple[float, float, float, float]:
        return (self._pixel(x - rx), self._pixel(y - ry), self._pixel(x + rx), self._pixel(y + ry))

    def _window(self, oval: Sequence[float]) -> tuple[int, int, int, int]:
        """Whole pixels around an ellipse."""
        left, top, right, bottom = self._box(*oval)
        return (int(left), int(top), int(right) + 2, int(bottom) + 2)

    def _mask(self, oval: Sequence[float], window: tuple[int, int, int, int]) -> Image.Image:
        mask = Image.new("L", (window[2] - window[0], window[3] - window[1]))
        left, top, right, bottom = self._box(*oval)
        box = (left - window[0], top - window[1], right - window[0], bottom - window[1])
        ImageDraw.Draw(mask).ellipse(box, fill=255)
        return mask


def nothing(*_: object) -> None:
    """Draw nothing."""


def mix(first: str, second: str, share: float) -> str:
    """A colour between two, with this share of the second."""
    pairs = zip(ImageColor.getrgb(first), ImageColor.getrgb(second), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def darker(colour: str, share: float = 0.18) -> str:
    """Towards a deep violet."""
    return mix(colour, "#1d1330", share)


def lighter(colour: str, share: float = 0.3) -> str:
    """Towards white."""
    return mix(colour, "#ffffff", share)


def around(centre: Point, radii: Point, degrees: float) -> Point:
    """A point on an ellipse, clockwise from the right."""
    turned = complex(0, 1) ** (degrees / 90)
    return (centre[0] + radii[0] * turned.real, centre[1] + radii[1] * turned.imag)
