"""The head and what is on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from producer.demo.canvas import INK, Canvas, darker, mix, nothing

_EYES_AT: Final = (214, 298)
_EYE_HEIGHT: Final = 238


def head(canvas: Canvas, skin: str) -> None:
    """Head and ears."""
    for side in (-1, 1):
        canvas.oval(256 + side * 91, 240, 17, 25, skin)
        canvas.oval(256 + side * 92, 240, 9, 15, darker(skin, 0.13))
    canvas.oval(256, 226, 90, 106, skin)


def neck(canvas: Canvas, skin: str) -> None:
    """The neck with the head's shadow on it."""
    canvas.bar((216, 290, 296, 414), 34, skin)
    canvas.overlap((256, 262, 82, 92), (256, 340, 39, 90), darker(skin, 0.2))


def nose(canvas: Canvas, skin: str) -> None:
    """A small arc."""
    canvas.arc((256, 266), (11, 10), (20, 160), darker(skin, 0.32), 5)


# --- Eyes ------------------------------------------------------------------------------------------------------


def _round_eyes(canvas: Canvas, colour: str, _skin: str) -> None:
    for x in _EYES_AT:
        canvas.oval(x, _EYE_HEIGHT, 23, 23, "#ffffff")
        canvas.arc((x, _EYE_HEIGHT), (25, 25), (195, 345), INK, 5)
        _iris(canvas, x, colour)


def _narrow_eyes(canvas: Canvas, colour: str, skin: str) -> None:
    for x in _EYES_AT:
        canvas.oval(x, _EYE_HEIGHT, 27, 23, "#ffffff")
        _iris(canvas, x, colour)
        for y in (_EYE_HEIGHT - 27, _EYE_HEIGHT + 27):
            canvas.oval(x, y, 33, 17, skin)
        canvas.line(INK, 5, (x - 27, _EYE_HEIGHT - 9), (x + 27, _EYE_HEIGHT - 9))
        canvas.line(darker(skin, 0.4), 3, (x - 24, _EYE_HEIGHT + 10), (x + 24, _EYE_HEIGHT + 10))


def _sleepy_eyes(canvas: Canvas, colour: str, skin: str) -> None:
    for x in _EYES_AT:
        canvas.oval(x, _EYE_HEIGHT, 23, 23, "#ffffff")
        _iris(canvas, x, colour, y=_EYE_HEIGHT + 5)
        canvas.overlap((x, _EYE_HEIGHT, 25, 25), (x, _EYE_HEIGHT - 20, 40, 21), darker(skin, 0.16))
        canvas.line(INK, 5, (x - 24, _EYE_HEIGHT + 1), (x + 24, _EYE_HEIGHT + 1))
        canvas.arc((x, _EYE_HEIGHT + 6), (22, 24), (30, 150), darker(skin, 0.35), 3)


def _iris(canvas: Canvas, x: float, colour: str, *, y: float = _EYE_HEIGHT) -> None:
    canvas.oval(x, y, 16, 17, colour)
    canvas.dot(x, y, 7, "#17131c")
    canvas.dot(x + 6, y - 6, 4, "#ffffff")


EYES: Final[dict[str, Callable[[Canvas, str, str], None]]] = {
    "round": _round_eyes,
    "narrow": _narrow_eyes,
    "sleepy": _sleepy_eyes,
}


# --- Expressions -----------------------------------------------------------------------------------------------


def _brows(canvas: Canvas, colour: str, tilt: float, height: float) -> None:
    """Eyebrows; with a positive tilt their inner ends are lower."""
    for side in (-1, 1):
        inner, outer = (256 + side * 20, height + tilt), (256 + side * 66, height - tilt)
        canvas.line(colour, 8, inner, (256 + side * 44, height - 5), outer)


def _lips(skin: str) -> str:
    return mix(skin, "#c92f4c", 0.8)


def _happy(canvas: Canvas, skin: str, brows: str) -> None:
    _brows(canvas, brows, 1, 203)
    canvas.arc((256, 278), (36, 28), (22, 158), _lips(skin), 7)


def _laughing(canvas: Canvas, skin: str, brows: str) -> None:
    _brows(canvas, brows, 1, 199)
    canvas.bowl(256, 284, 38, 36, _lips(skin))
    canvas.bowl(256, 284, 33, 31, "#7a1f2e")
    canvas.bar((226, 284, 286, 295), 4, "#ffffff")


def _sad(canvas: Canvas, skin: str, brows: str) -> None:
    _brows(canvas, brows, -8, 203)
    canvas.arc((256, 318), (30, 24), (205, 335), _lips(skin), 7)
    canvas.oval(206, 278, 6, 9, "#7cc4f2")


def _surprised(canvas: Canvas, skin: str, brows: str) -> None:
    _brows(canvas, brows, 0, 192)
    canvas.oval(256, 303, 18, 20, _lips(skin))
    canvas.oval(256, 304, 12, 14, "#5e1522")


def _angry(canvas: Canvas, skin: str, brows: str) -> None:
    _brows(canvas, brows, 9, 206)
    canvas.bar((226, 292, 286, 314), 9, _lips(skin))
    canvas.bar((231, 297, 281, 309), 5, "#ffffff")
    for x in (243, 256, 269):
        canvas.line(_lips(skin), 3, (x, 297), (x, 309))


def _calm(canvas: Canvas, skin: str, brows: str) -> None:
    _brows(canvas, brows, 1, 205)
    canvas.line(_lips(skin), 7, (234, 301), (278, 301))


EXPRESSIONS: Final[dict[str, Callable[[Canvas, str, str], None]]] = {
    "happy": _happy,
    "laughing": _laughing,
    "sad": _sad,
    "surprised": _surprised,
    "angry": _angry,
    "calm": _calm,
}


# --- Features: the beard and the moustache lie below the mouth, the others above all ----------------------------


def _beard(canvas: Canvas, hair: str, skin: str) -> None:
    canvas.crescent((256, 244, 92, 104), (256, 196, 88, 92), hair)
    canvas.oval(256, 302, 54, 36, hair)
    canvas.oval(256, 301, 41, 23, skin)


def _moustache(canvas: Canvas, hair: str, _skin: str) -> None:
    for side in (-1, 1):
        canvas.oval(256 + side * 19, 282, 24, 9, hair)
        canvas.oval(256 + side * 40, 277, 9, 6, hair)


def _freckles(canvas: Canvas, _hair: str, skin: str) -> None:
    for side in (-1, 1):
        for x, y in [(36, 270), (48, 276), (60, 269), (41, 285), (55, 287), (67, 280)]:
            canvas.dot(256 + side * x, y, 3.6, mix(skin, "#3a1606", 0.62))


def _rosy_cheeks(canvas: Canvas, _hair: str, _skin: str) -> None:
    for side in (-1, 1):
        canvas.glow(256 + side * 54, 280, 23, 16, "#ff3f5c", 0.62)


def _star(canvas: Canvas, _hair: str, _skin: str) -> None:
    tips = [(0, -20), (6, -6), (20, -6), (9, 4), (13, 18), (0, 10), (-13, 18), (-9, 4), (-20, -6), (-6, -6)]
    for grow, colour in ((1.25, "#8a5a00"), (1.0, "#ffd42e")):
        canvas.shape(colour, *[(310 + grow * x, 283 + grow * y) for x, y in tips])


def _plaster(canvas: Canvas, _hair: str, _skin: str) -> None:
    canvas.bar((221, 253, 291, 277), 11, "#b98a5c")
    canvas.bar((224, 256, 288, 274), 9, "#f7ddb8")
    canvas.bar((245, 256, 267, 274), 2, "#e2b98a")


FEATURES_BELOW: Final = {"a full beard": _beard, "a moustache": _moustache}
FEATURES_ABOVE: Final = {
    "freckles": _freckles,
    "rosy cheeks": _rosy_cheeks,
    "a star on the cheek": _star,
    "a plaster on the nose": _plaster,
}


# --- Glasses ---------------------------------------------------------------------------------------------------


def _bridge(canvas: Canvas, reach: float, colour: str) -> None:
    canvas.line(colour, 6, (256 - 10, 236), (256 + 10, 236))
    for side in (-1, 1):
        canvas.line(colour, 6, (256 + side * reach, 234), (256 + side * 92, 228))


def _round_glasses(canvas: Canvas) -> None:
    for x in _EYES_AT:
        canvas.glow(x, 240, 34, 34, "#ffffff", 0.14)
        canvas.arc((x, 240), (35, 35), (0, 360), "#23252e", 7)
    _bridge(canvas, 76, "#23252e")


def _square_glasses(canvas: Canvas) -> None:
    for x in _EYES_AT:
        left, top, right, bottom = x - 35, 210, x + 35, 268
        canvas.line("#b02a2a", 8, (left, top), (right, top), (right, bottom), (left, bottom), (left, top))
    _bridge(canvas, 76, "#b02a2a")


def _monocle(canvas: Canvas) -> None:
    canvas.glow(298, 240, 34, 34, "#ffffff", 0.14)
    canvas.arc((298, 240), (36, 36), (0, 360), "#c9971c", 8)
    canvas.line("#c9971c", 4, (328, 262), (344, 330), (338, 400))


GLASSES: Final[dict[str, Callable[[Canvas], None]]] = {
    "no glasses": nothing,
    "round glasses": _round_glasses,
    "square glasses": _square_glasses,
    "a monocle": _monocle,
}
