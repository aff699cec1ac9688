"""Hair, in two parts: behind the head, and in front of it. The head is an ellipse around (256, 226), 90 x 106."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from producer.demo.canvas import Canvas, around, darker, lighter, nothing

Part = Callable[[Canvas, str], None]

_CROWN: Final = (256, 206, 101, 112)


def _long_back(canvas: Canvas, colour: str) -> None:
    canvas.oval(256, 220, 120, 126, colour)
    canvas.bar((136, 214, 376, 446), 48, colour)


def _bob_back(canvas: Canvas, colour: str) -> None:
    canvas.oval(256, 216, 118, 124, colour)
    canvas.bar((138, 210, 374, 334), 40, colour)


def _bun_back(canvas: Canvas, colour: str) -> None:
    canvas.dot(256, 78, 50, colour)
    canvas.arc((256, 80), (32, 30), (200, 320), lighter(colour, 0.22), 6)


def _ponytail_back(canvas: Canvas, colour: str) -> None:
    canvas.oval(374, 180, 50, 58, colour)
    canvas.oval(398, 262, 38, 94, colour)
    canvas.oval(384, 344, 22, 48, colour)


def _afro_back(canvas: Canvas, colour: str) -> None:
    canvas.oval(256, 188, 146, 136, colour)
    for degrees in range(135, 406, 18):
        canvas.dot(*around((256, 188), (136, 124), degrees), 26, colour)


def _braids_back(canvas: Canvas, colour: str) -> None:
    for side in (-1, 1):
        for step in range(7):
            canvas.oval(256 + side * (112 - step), 262 + step * 28, 25 - step, 20, darker(colour, 0.1 * (step % 2)))
        canvas.bar((256 + side * 106 - 15, 444, 256 + side * 106 + 15, 458), 5, "#ffcf4d")


def _fringe(canvas: Canvas, colour: str) -> None:
    canvas.crescent(_CROWN, (256, 292, 92, 112), colour)


def _side_part(canvas: Canvas, colour: str) -> None:
    canvas.crescent(_CROWN, (230, 280, 106, 132), colour)
    canvas.arc((262, 194), (72, 76), (262, 336), lighter(colour, 0.22), 5)


def _middle_part(canvas: Canvas, colour: str) -> None:
    canvas.crescent(_CROWN, (256, 300, 93, 158), colour)
    canvas.line(darker(colour, 0.3), 3, (256, 96), (256, 140))


def _buzz_cut(canvas: Canvas, colour: str) -> None:
    canvas.crescent((256, 214, 93, 97), (256, 282, 96, 122), colour)


def _quiff(canvas: Canvas, colour: str) -> None:
    _buzz_cut(canvas, colour)
    for x, y, radius in [(204, 130, 30), (234, 112, 36), (270, 100, 42), (308, 112, 38), (330, 138, 26)]:
        canvas.dot(x, y, radius, colour)
    canvas.arc((272, 116), (54, 36), (205, 320), lighter(colour, 0.22), 6)


def _curls(canvas: Canvas, colour: str) -> None:
    _buzz_cut(canvas, colour)
    for degrees in range(180, 361, 15):
        x, y = around((256, 196), (90, 84), degrees)
        canvas.dot(x, y, 23, colour)
        canvas.arc((x, y), (12, 12), (180, 330), lighter(colour, 0.25), 4)
    for x in (206, 236, 270, 304):
        canvas.dot(x, 136, 23, colour)
        canvas.arc((x, 136), (12, 12), (180, 330), lighter(colour, 0.25), 4)


def _afro_front(canvas: Canvas, colour: str) -> None:
    canvas.crescent((256, 198, 102, 106), (256, 288, 94, 132), colour)


HAIR: Final[dict[str, tuple[Part, Part]]] = {
    "a buzz cut": (nothing, _buzz_cut),
    "a quiff": (nothing, _quiff),
    "short curls": (nothing, _curls),
    "a bob with a fringe": (_bob_back, _fringe),
    "long straight hair": (_long_back, _middle_part),
    "a round afro": (_afro_back, _afro_front),
    "a high bun": (_bun_back, _side_part),
    "a side ponytail": (_ponytail_back, _side_part),
    "two long braids": (_braids_back, _middle_part),
}
