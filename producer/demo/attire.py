"""What a person wears, on shoulders of some width; the neck is around x = 256 and ends at y = 412."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from producer.demo.canvas import Canvas, darker, lighter

#: What is worn under overalls.
UNDERSHIRT: Final = "#e9e4da"
#: Half the width of the shoulders, in units.
SHOULDERS: Final = {"slim": 112, "average": 152, "broad": 198}


def _shoulders(canvas: Canvas, colour: str, half: float) -> None:
    canvas.bar((256 - half, 388, 256 + half, 660), min(84, half * 0.6), colour)


def _tee(canvas: Canvas, colour: str, skin: str, half: float) -> None:
    _shoulders(canvas, colour, half)
    canvas.bowl(256, 386, 58, 44, darker(colour, 0.14))
    canvas.bowl(256, 382, 49, 37, skin)
    for side in (-1, 1):
        canvas.line(darker(colour, 0.2), 4, (256 + side * (half - 34), 464), (256 + side * (half - 38), 560))


def _striped(canvas: Canvas, colour: str, skin: str, half: float) -> None:
    _shoulders(canvas, colour, half)
    stripe = darker(colour, 0.45) if _is_light(colour) else "#fbfaf7"
    for y in (424, 456, 488):
        inset = 18 if y < 430 else 4
        canvas.bar((256 - half + inset, y, 256 + half - inset, y + 15), 0, stripe)
    canvas.bowl(256, 386, 58, 44, colour)
    canvas.bowl(256, 382, 48, 36, skin)


def _shirt(canvas: Canvas, colour: str, skin: str, half: float) -> None:
    _shoulders(canvas, colour, half)
    canvas.shape(skin, (210, 380), (302, 380), (256, 448))
    for side in (-1, 1):
        collar = [(38, 364), (66, 392), (36, 452), (0, 440), (38, 392)]
        canvas.shape(lighter(colour, 0.4), *[(256 + side * x, y) for x, y in collar])
        canvas.line(darker(colour, 0.3), 3, *[(256 + side * x, y) for x, y in [(66, 392), (36, 452), (0, 440)]])
    canvas.line(darker(colour, 0.35), 4, (256, 450), (256, 560))
    for y in (470, 502):
        canvas.dot(256, y, 6, "#ffffff" if not _is_light(colour) else darker(colour, 0.5))


def _suit(canvas: Canvas, colour: str, _skin: str, half: float) -> None:
    _shoulders(canvas, colour, half)
    canvas.shape("#ffffff", (204, 384), (308, 384), (270, 540), (242, 540))
    tie = "#2f4f9e" if int(colour[1:3], 16) > 0xA0 else "#c8433f"
    canvas.shape(tie, (243, 414), (269, 414), (278, 540), (234, 540))
    canvas.shape(darker(tie, 0.2), (238, 396), (274, 396), (265, 422), (247, 422))
    for side in (-1, 1):
        collar = [(36, 364), (58, 388), (26, 424), (0, 398)]
        canvas.shape("#f3f4f8", *[(256 + side * x, y) for x, y in collar])
        lapel = [(54, 382), (98, 404), (80, 440), (92, 450), (22, 540), (14, 540)]
        canvas.shape(darker(colour, 0.28), *[(256 + side * x, y) for x, y in lapel])


def _turtleneck(canvas: Canvas, colour: str, _skin: str, half: float) -> None:
    _shoulders(canvas, colour, half)
    canvas.bar((202, 334, 310, 408), 18, lighter(colour, 0.12))
    canvas.line(darker(colour, 0.2), 4, (210, 372), (302, 372))


def _hoodie(canvas: Canvas, colour: str, skin: str, half: float) -> None:
    canvas.oval(256, 388, 132, 54, darker(colour, 0.28))
    _shoulders(canvas, colour, half)
    canvas.bowl(256, 380, 74, 60, darker(colour, 0.28))
    canvas.bowl(256, 378, 50, 38, skin)
    cord = darker(colour, 0.5) if _is_light(colour) else "#ffffff"
    for x in (222, 290):
        canvas.line(cord, 6, (x, 426), (x - (256 - x) / 10, 484))


def _overalls(canvas: Canvas, colour: str, skin: str, half: float) -> None:
    _shoulders(canvas, UNDERSHIRT, half)
    canvas.bowl(256, 386, 58, 44, darker(UNDERSHIRT, 0.14))
    canvas.bowl(256, 382, 48, 36, skin)
    canvas.bar((176, 446, 336, 600), 14, colour)
    for x in (176, 304):
        canvas.bar((x, 390, x + 32, 476), 8, colour)
        canvas.dot(x + 16, 462, 9, "#ffd35c")


def _dress(canvas: Canvas, colour: str, skin: str, half: float) -> None:
    _shoulders(canvas, skin, half)
    canvas.bar((256 - half + 22, 448, 256 + half - 22, 660), 30, colour)
    for side in (-1, 1):
        strap = [(70, 394), (100, 394), (114, 480), (60, 480)]
        canvas.shape(colour, *[(256 + side * x * min(1, half / 120), y) for x, y in strap])
    canvas.bowl(256, 442, 56, 24, skin)
    canvas.line(lighter(colour, 0.5), 5, (256 - half + 30, 500), (256 + half - 30, 500))


def _is_light(colour: str) -> bool:
    return min(int(colour[at : at + 2], 16) for at in (1, 3, 5)) > 0xC0


ATTIRE: Final[dict[str, Callable[[Canvas, str, str, float], None]]] = {
    "T-shirt": _tee,
    "striped sweater": _striped,
    "hoodie": _hoodie,
    "suit": _suit,
    "shirt": _shirt,
    "dress": _dress,
    "pair of overalls": _overalls,
    "turtleneck": _turtleneck,
}
