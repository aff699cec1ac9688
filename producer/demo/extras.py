"""Accessories, and what the hands do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from producer.demo.canvas import Canvas, around, darker, lighter, nothing

# --- Accessories -----------------------------------------------------------------------------------------------


def _earrings(canvas: Canvas) -> None:
    for side in (-1, 1):
        canvas.dot(256 + side * 95, 268, 6, "#f4b93e")
        canvas.dot(256 + side * 96, 288, 15, "#8a5a00")
        canvas.dot(256 + side * 96, 288, 12, "#ffd23f")


def _necklace(canvas: Canvas) -> None:
    for degrees in range(14, 167, 15):
        x, y = around((256, 372), (66, 64), degrees)
        canvas.dot(x, y, 10, "#3d8f8a")
        canvas.dot(x, y, 7.5, "#bdf3ea")


def _headband(canvas: Canvas) -> None:
    canvas.crescent((256, 204, 104, 114), (256, 226, 108, 108), "#ff5470")
    canvas.crescent((256, 203, 104, 112), (256, 213, 106, 110), "#ff9db0")


def _headphones(canvas: Canvas) -> None:
    canvas.arc((256, 214), (122, 132), (186, 354), "#24262f", 17)
    canvas.arc((256, 214), (118, 128), (196, 344), "#5a5f70", 5)
    for side in (-1, 1):
        canvas.oval(256 + side * 112, 236, 27, 42, "#24262f")
        canvas.oval(256 + side * 114, 236, 15, 28, "#19c3c9")


def _scarf(canvas: Canvas) -> None:
    canvas.shape("#c02f6d", (286, 396), (340, 396), (352, 530), (296, 530))
    for y in (440, 476, 512):
        canvas.line("#ffd9e8", 7, (296, y), (344, y))
    canvas.bar((176, 346, 336, 412), 30, "#d94584")
    for x in (206, 240, 274, 308):
        canvas.line("#ffd9e8", 7, (x, 352), (x - 10, 406))


def _flower(canvas: Canvas) -> None:
    for degrees in range(0, 360, 72):
        canvas.dot(*around((336, 142), (21, 21), degrees), 17, "#c8246b")
    for degrees in range(0, 360, 72):
        canvas.dot(*around((336, 142), (20, 20), degrees), 14, "#ff8fc0")
    canvas.dot(336, 142, 12, "#ffd735")


ACCESSORIES: Final[dict[str, Callable[[Canvas], None]]] = {
    "nothing": nothing,
    "earrings": _earrings,
    "a necklace": _necklace,
    "a headband": _headband,
    "headphones": _headphones,
    "a scarf": _scarf,
    "a flower": _flower,
}


# --- Poses -----------------------------------------------------------------------------------------------------


def _waving(canvas: Canvas, skin: str, sleeve: str, half: float) -> None:
    _raised_arm(canvas, -1, skin, sleeve, half)


def _both_raised(canvas: Canvas, skin: str, sleeve: str, half: float) -> None:
    for side in (-1, 1):
        _raised_arm(canvas, side, skin, sleeve, half)


def _raised_arm(canvas: Canvas, side: int, skin: str, sleeve: str, half: float) -> None:
    elbow, wrist = (256 + side * (half + 22), 440), (256 + side * 186, 356)
    canvas.line(darker(sleeve, 0.12), 46, (256 + side * (half - 28), 470), elbow, wrist)
    x, y = 256 + side * 190, 306
    for degrees in (-150, -122, -98, -74):
        tip = around((x, y), (44, 48), degrees if side < 0 else -180 - degrees)
        canvas.line(darker(skin, 0.22), 19, (x, y), tip)
        canvas.line(skin, 14, (x, y), tip)
    thumb = (x - side * 40, y + 2)
    canvas.line(darker(skin, 0.22), 19, (x, y + 10), thumb)
    canvas.oval(x, y + 10, 30, 32, darker(skin, 0.22))
    canvas.line(skin, 14, (x, y + 10), thumb)
    canvas.oval(x, y + 10, 27, 29, skin)


def _folded(canvas: Canvas, skin: str, sleeve: str, half: float) -> None:
    for side in (-1, 1):
        canvas.line(darker(sleeve, 0.24), 44, (256 + side * (half - 14), 504), (256 + side * 60, 470))
    for side in (1, -1):
        x = 256 + side * 20
        canvas.oval(x, 462, 37, 27, darker(skin, 0.25))
        canvas.oval(x, 462, 33, 23, lighter(skin, 0.05))
    for x in (236, 252, 268):
        canvas.line(darker(skin, 0.28), 3, (x - 6, 454), (x + 4, 472))


POSES: Final[dict[str, Callable[[Canvas, str, str, float], None]]] = {
    "arms at rest": nothing,
    "waving": _waving,
    "both hands raised": _both_raised,
    "hands folded": _folded,
}
