"""Draws the twelve example portraits and writes the records that name them.

    python examples/draw_portraits.py

The people do not exist; the pictures are circles and polygons. Drawing again gives the same pictures.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageChops, ImageColor, ImageDraw

FOLDER: Final = Path(__file__).resolve().parent
SIDE: Final = 512
ZOOM: Final = 4  # drawn this much larger, then reduced: the edges become smooth
INK: Final = "#2f2a33"

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Person:
    """What one portrait shows; each field but the colours names an entry of a table below."""

    skin: str
    hair: str
    hair_colour: str
    eyes: str
    attire: str
    attire_colour: str
    mouth: str = "smile"
    brows: str = "calm"
    backdrop: str = "disc"
    backdrop_colour: str
    extras: tuple[str, ...] = ()


class Canvas:
    """A drawing surface in coordinates of the finished picture, 512 x 512."""

    def __init__(self, colour: str) -> None:
        self.image = Image.new("RGB", (SIDE * ZOOM, SIDE * ZOOM), colour)
        self._draw = ImageDraw.Draw(self.image)

    def oval(self, x: float, y: float, rx: float, ry: float, colour: str) -> None:
        """An ellipse around a centre."""
        self._draw.ellipse(_box(x, y, rx, ry), fill=colour)

    def dot(self, x: float, y: float, radius: float, colour: str) -> None:
        """A circle."""
        self.oval(x, y, radius, radius, colour)

    def shape(self, colour: str, *points: Point) -> None:
        """A polygon."""
        self._draw.polygon([(x * ZOOM, y * ZOOM) for x, y in points], fill=colour)

    def bar(self, corners: tuple[float, float, float, float], radius: float, colour: str) -> None:
        """A rectangle with round corners."""
        self._draw.rounded_rectangle([c * ZOOM for c in corners], radius * ZOOM, fill=colour)

    def line(self, colour: str, width: float, *points: Point) -> None:
        """A line through points, with round joints and ends."""
        for x, y in points:
            self.dot(x, y, width / 2, colour)
        self._draw.line([(x * ZOOM, y * ZOOM) for x, y in points], colour, round(width * ZOOM))

    def arc(self, centre: Point, radii: Point, angles: Point, colour: str, width: float) -> None:
        """A part of the outline of an ellipse; angles in degrees, clockwise from the right."""
        self._draw.arc(_box(*centre, *radii), *angles, fill=colour, width=round(width * ZOOM))

    def bowl(self, x: float, y: float, rx: float, ry: float, colour: str) -> None:
        """The lower half of an ellipse."""
        self._draw.pieslice(_box(x, y, rx, ry), 0, 180, fill=colour)

    def crescent(self, outer: Sequence[float], inner: Sequence[float], colour: str) -> None:
        """An ellipse less another one."""
        self.image.paste(colour, mask=ImageChops.subtract(_mask(outer), _mask(inner)))

    def glow(self, x: float, y: float, rx: float, ry: float, colour: str, strength: float) -> None:
        """A translucent ellipse."""
        mask = _mask((x, y, rx, ry)).point(lambda value: value * strength)
        self.image.paste(colour, mask=mask)

    def finished(self) -> Image.Image:
        """The picture in its final size."""
        return self.image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def _box(x: float, y: float, rx: float, ry: float) -> tuple[float, float, float, float]:
    return ((x - rx) * ZOOM, (y - ry) * ZOOM, (x + rx) * ZOOM, (y + ry) * ZOOM)


def _mask(oval: Sequence[float]) -> Image.Image:
    mask = Image.new("L", (SIDE * ZOOM, SIDE * ZOOM))
    x, y, rx, ry = oval
    ImageDraw.Draw(mask).ellipse(_box(x, y, rx, ry), fill=255)
    return mask


def _mix(first: str, second: str, share: float) -> str:
    """A colour between two: the share is that of the second."""
    pairs = zip(ImageColor.getrgb(first), ImageColor.getrgb(second), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _darker(colour: str, share: float = 0.18) -> str:
    return _mix(colour, "#1d1330", share)


def _lighter(colour: str, share: float = 0.3) -> str:
    return _mix(colour, "#ffffff", share)


# --- Backdrops -------------------------------------------------------------------------------------------------


def _disc(canvas: Canvas, colour: str, _chance: random.Random) -> None:
    canvas.dot(256, 250, 212, _lighter(colour, 0.35))


def _confetti(canvas: Canvas, colour: str, chance: random.Random) -> None:
    shades = [_lighter(colour, 0.5), _darker(colour, 0.12), "#ffffff", "#ffd35c"]
    for row in range(7):
        for column in range(7):
            x, y = 36 + column * 74 + chance.uniform(-18, 18), 36 + row * 74 + chance.uniform(-18, 18)
            canvas.dot(x, y, chance.uniform(4, 10), chance.choice(shades))


def _hills(canvas: Canvas, colour: str, _chance: random.Random) -> None:
    canvas.dot(404, 104, 46, "#ffe08a")
    canvas.bar((48, 96, 168, 122), 13, "#ffffff")
    canvas.bar((84, 76, 142, 112), 18, "#ffffff")
    canvas.oval(110, 500, 280, 170, _mix(colour, "#5fae6b", 0.75))
    canvas.oval(430, 520, 270, 150, _mix(colour, "#3f9160", 0.8))


def _rays(canvas: Canvas, colour: str, _chance: random.Random) -> None:
    reach = 900
    for turn in range(0, 16, 2):
        ends = [_around(256, 260, reach, 22.5 * (turn + step)) for step in (0, 1)]
        canvas.shape(_lighter(colour, 0.25), (256, 260), *ends)


def _around(x: float, y: float, radius: float, degrees: float) -> Point:
    return _around_oval((x, y), (radius, radius), degrees)


def _around_oval(centre: Point, radii: Point, degrees: float) -> Point:
    turned = complex(0, 1) ** (degrees / 90)
    return (centre[0] + radii[0] * turned.real, centre[1] + radii[1] * turned.imag)


def _leaves(canvas: Canvas, colour: str, chance: random.Random) -> None:
    for x in (26, 84, 428, 486):
        stem = _mix(colour, "#2f7a52", 0.8)
        top = chance.uniform(40, 110)
        canvas.line(stem, 4, (x, 512), (x, top))
        for y in range(int(top) + 14, 512, 46):
            leaf = _mix(colour, "#3f9560", chance.uniform(0.45, 0.8))
            canvas.oval(x - 20, y, 19, 10, leaf)
            canvas.oval(x + 20, y + 22, 19, 10, leaf)


def _city(canvas: Canvas, colour: str, chance: random.Random) -> None:
    canvas.dot(96, 92, 34, "#fff3c4")
    for x in range(0, 512, 64):
        top = chance.randint(170, 330)
        canvas.bar((x, top, x + 60, 520), 4, _darker(colour, chance.uniform(0.25, 0.45)))
        for y in range(top + 16, 500, 30):
            for side in (12, 36):
                lit = chance.random() < 0.55
                canvas.bar((x + side, y, x + side + 12, y + 16), 2, "#ffdf8e" if lit else _darker(colour, 0.2))


# --- Hair ------------------------------------------------------------------------------------------------------
# Behind the head, then in front of it. The head is an ellipse around (256, 226), 86 x 106.

CROWN: Final = (256, 208, 97, 112)


def _nothing(_canvas: Canvas, _colour: str) -> None:
    return


def _long_back(canvas: Canvas, colour: str) -> None:
    canvas.oval(256, 220, 116, 124, colour)
    canvas.bar((140, 214, 372, 442), 52, colour)


def _bob_back(canvas: Canvas, colour: str) -> None:
    canvas.oval(256, 216, 114, 122, colour)
    canvas.bar((142, 210, 370, 338), 44, colour)


def _bun_back(canvas: Canvas, colour: str) -> None:
    canvas.dot(256, 84, 46, colour)
    canvas.arc((256, 86), (30, 28), (200, 320), _lighter(colour, 0.18), 5)


def _ponytail_back(canvas: Canvas, colour: str) -> None:
    canvas.oval(366, 190, 46, 58, colour)
    canvas.oval(386, 268, 36, 92, colour)
    canvas.oval(372, 346, 20, 46, colour)


def _afro_back(canvas: Canvas, colour: str) -> None:
    canvas.oval(256, 190, 142, 134, colour)
    for degrees in range(135, 406, 18):
        canvas.dot(*_around_oval((256, 190), (132, 122), degrees), 26, colour)


def _braids_back(canvas: Canvas, colour: str) -> None:
    for side in (-1, 1):
        for step in range(7):
            canvas.oval(256 + side * (104 - step), 270 + step * 27, 22 - step, 19, _darker(colour, 0.08 * (step % 2)))
        canvas.bar((256 + side * 98 - 14, 446, 256 + side * 98 + 14, 458), 5, "#ffcf4d")


def _scarf_back(canvas: Canvas, colour: str) -> None:
    canvas.oval(256, 226, 112, 134, colour)
    canvas.shape(colour, (152, 260), (360, 260), (392, 420), (120, 420))


def _fringe(canvas: Canvas, colour: str) -> None:
    canvas.crescent(CROWN, (256, 282, 88, 102), colour)


def _side_part(canvas: Canvas, colour: str) -> None:
    canvas.crescent(CROWN, (232, 276, 100, 124), colour)
    canvas.arc((262, 196), (70, 76), (262, 336), _lighter(colour, 0.2), 5)


def _middle_part(canvas: Canvas, colour: str) -> None:
    canvas.crescent(CROWN, (256, 296, 90, 150), colour)
    canvas.line(_darker(colour, 0.3), 3, (256, 98), (256, 146))


def _cropped(canvas: Canvas, colour: str) -> None:
    canvas.crescent((256, 212, 92, 100), (256, 270, 92, 118), colour)


def _quiff(canvas: Canvas, colour: str) -> None:
    _cropped(canvas, colour)
    for x, y, radius in [(206, 132, 28), (236, 116, 34), (272, 108, 38), (308, 122, 34), (328, 146, 22)]:
        canvas.dot(x, y, radius, colour)
    canvas.arc((272, 122), (52, 34), (205, 320), _lighter(colour, 0.2), 5)


def _curls(canvas: Canvas, colour: str) -> None:
    _cropped(canvas, colour)
    for degrees in range(180, 361, 15):
        x, y = _around_oval((256, 196), (88, 84), degrees)
        canvas.dot(x, y, 22, colour)
        canvas.arc((x, y), (11, 11), (180, 330), _lighter(colour, 0.22), 3.5)
    for x in (206, 236, 270, 304):
        canvas.dot(x, 138, 22, colour)


def _afro_front(canvas: Canvas, colour: str) -> None:
    canvas.crescent((256, 200, 98, 106), (256, 282, 90, 128), colour)


def _sides(canvas: Canvas, colour: str) -> None:
    for side in (-1, 1):
        canvas.oval(256 + side * 86, 212, 11, 38, colour)


def _scarf_front(canvas: Canvas, colour: str) -> None:
    canvas.crescent((256, 224, 102, 124), (256, 238, 74, 92), colour)
    canvas.crescent((256, 224, 84, 104), (256, 238, 74, 92), _darker(colour, 0.12))


def _beanie(canvas: Canvas, colour: str) -> None:
    canvas.crescent(CROWN, (256, 282, 90, 116), "#5b3a29")
    canvas.image.paste(colour, mask=ImageChops.subtract(_mask((256, 170, 104, 112)), _mask((256, 300, 190, 138))))
    canvas.bar((152, 140, 360, 184), 20, _lighter(colour, 0.2))
    for x in range(168, 356, 20):
        canvas.line(_lighter(colour, 0.05), 3, (x, 150), (x, 174))
    canvas.dot(256, 58, 24, "#ffffff")


Part = Callable[[Canvas, str], None]
HAIR: Final[dict[str, tuple[Part, Part]]] = {
    "long": (_long_back, _middle_part),
    "long fringe": (_long_back, _fringe),
    "bob": (_bob_back, _fringe),
    "bun": (_bun_back, _side_part),
    "ponytail": (_ponytail_back, _side_part),
    "afro": (_afro_back, _afro_front),
    "braids": (_braids_back, _middle_part),
    "scarf": (_scarf_back, _scarf_front),
    "cropped": (_nothing, _cropped),
    "quiff": (_nothing, _quiff),
    "curls": (_nothing, _curls),
    "bald": (_nothing, _sides),
    "beanie": (_nothing, _beanie),
}


# --- Attire ----------------------------------------------------------------------------------------------------


def _shoulders(canvas: Canvas, colour: str) -> None:
    canvas.bar((92, 386, 420, 640), 84, colour)


def _tee(canvas: Canvas, colour: str, skin: str) -> None:
    _shoulders(canvas, colour)
    canvas.bowl(256, 384, 56, 42, _darker(colour, 0.12))
    canvas.bowl(256, 380, 48, 36, skin)


def _striped(canvas: Canvas, colour: str, skin: str) -> None:
    _shoulders(canvas, colour)
    for y in (424, 456, 488):
        inset = 16 if y < 430 else 4
        canvas.bar((92 + inset, y, 420 - inset, y + 14), 0, "#ffffff")
    canvas.bowl(256, 384, 58, 44, colour)
    canvas.bowl(256, 380, 48, 36, skin)


def _shirt(canvas: Canvas, colour: str, skin: str) -> None:
    _shoulders(canvas, colour)
    canvas.shape(skin, (212, 380), (300, 380), (256, 446))
    for side in (-1, 1):
        canvas.shape(
            _lighter(colour, 0.35),
            *[(256 + side * x, y) for x, y in [(38, 366), (62, 392), (34, 446), (0, 440), (38, 392)]],
        )
    canvas.line(_darker(colour), 3, (256, 448), (256, 512))
    for y in (466, 496):
        canvas.dot(256, y, 5, "#ffffff")


def _blazer(canvas: Canvas, colour: str, _skin: str) -> None:
    _shoulders(canvas, colour)
    canvas.shape("#ffffff", (206, 384), (306, 384), (268, 520), (244, 520))
    canvas.shape("#c8433f", (244, 414), (268, 414), (274, 520), (238, 520))
    canvas.shape("#a83434", (240, 398), (272, 398), (264, 422), (248, 422))
    for side in (-1, 1):
        collar = [(36, 366), (58, 388), (26, 424), (0, 398)]
        canvas.shape("#f3f4f8", *[(256 + side * x, y) for x, y in collar])
        lapel = [(54, 382), (96, 404), (78, 440), (90, 450), (22, 520), (14, 520)]
        canvas.shape(_darker(colour, 0.3), *[(256 + side * x, y) for x, y in lapel])


def _turtleneck(canvas: Canvas, colour: str, _skin: str) -> None:
    _shoulders(canvas, colour)
    canvas.bar((204, 340, 308, 406), 18, _lighter(colour, 0.1))
    canvas.line(_darker(colour, 0.12), 3, (212, 374), (300, 374))


def _hoodie(canvas: Canvas, colour: str, skin: str) -> None:
    canvas.oval(256, 388, 124, 50, _darker(colour, 0.25))
    _shoulders(canvas, colour)
    canvas.bowl(256, 380, 70, 56, _darker(colour, 0.25))
    canvas.bowl(256, 378, 50, 38, skin)
    for x in (226, 286):
        canvas.line("#ffffff", 5, (x, 424), (x - (256 - x) / 10, 474))


def _overalls(canvas: Canvas, colour: str, skin: str) -> None:
    _striped(canvas, "#e8604c", skin)
    canvas.bar((186, 452, 326, 560), 14, colour)
    for x in (186, 300):
        canvas.bar((x, 388, x + 26, 480), 8, colour)
        canvas.dot(x + 13, 466, 8, "#ffd35c")


def _dress(canvas: Canvas, colour: str, skin: str) -> None:
    _shoulders(canvas, skin)
    canvas.bar((120, 446, 392, 640), 34, colour)
    for side in (-1, 1):
        canvas.shape(colour, *[(256 + side * x, y) for x, y in [(84, 392), (114, 394), (136, 480), (70, 480)]])
    canvas.bowl(256, 440, 62, 24, skin)
    for degrees in range(20, 161, 14):
        canvas.dot(*_around_oval((256, 372), (58, 50), degrees), 6, "#fff6e0")


ATTIRE: Final[dict[str, Callable[[Canvas, str, str], None]]] = {
    "tee": _tee,
    "striped": _striped,
    "shirt": _shirt,
    "blazer": _blazer,
    "turtleneck": _turtleneck,
    "hoodie": _hoodie,
    "overalls": _overalls,
    "dress": _dress,
}


# --- The face --------------------------------------------------------------------------------------------------


def _head(canvas: Canvas, person: Person) -> None:
    if person.hair != "scarf":
        for side in (-1, 1):
            canvas.oval(256 + side * 87, 240, 17, 25, person.skin)
            canvas.oval(256 + side * 88, 240, 9, 15, _darker(person.skin, 0.13))
    canvas.oval(256, 226, 86, 106, person.skin)
    for side in (-1, 1):
        canvas.glow(256 + side * 52, 272, 19, 13, "#ff5a5f", 0.24)


def _neck(canvas: Canvas, skin: str) -> None:
    canvas.bar((218, 290, 294, 412), 34, skin)


def _neck_shadow(canvas: Canvas, skin: str) -> None:
    shade = ImageChops.multiply(_mask((256, 246, 82, 106)), _neck_mask())
    canvas.image.paste(_darker(skin, 0.2), mask=shade)


def _neck_mask() -> Image.Image:
    mask = Image.new("L", (SIDE * ZOOM, SIDE * ZOOM))
    ImageDraw.Draw(mask).rectangle([218 * ZOOM, 300 * ZOOM, 294 * ZOOM, 400 * ZOOM], fill=255)
    return mask


def _eyes(canvas: Canvas, person: Person) -> None:
    for x in (220, 292):
        if person.eyes == "closed":
            canvas.arc((x, 244), (15, 13), (195, 345), INK, 5)
            continue
        canvas.oval(x, 238, 15, 16, "#ffffff")
        canvas.oval(x, 239, 11, 12, person.eyes)
        canvas.dot(x, 239, 6, "#17131c")
        canvas.dot(x + 4, 234, 3.2, "#ffffff")
        canvas.arc((x, 239), (17, 18), (205, 335), INK, 4.5)


def _brows(canvas: Canvas, person: Person) -> None:
    dark = person.hair in {"scarf", "bald", "beanie"}
    colour = "#3a2a26" if dark else _darker(person.hair_colour, 0.25)
    height = {"calm": 218, "raised": 208, "bold": 216}[person.brows]
    width = 9 if person.brows == "bold" else 6
    for x in (220, 292):
        canvas.arc((x, height), (22, 12), (205, 335), colour, width)


def _nose(canvas: Canvas, skin: str) -> None:
    canvas.arc((256, 262), (11, 10), (20, 160), _darker(skin, 0.32), 5)


def _mouth(canvas: Canvas, person: Person) -> None:
    lip = _mix(person.skin, "#a3243b", 0.55)
    match person.mouth:
        case "laugh":
            canvas.bowl(256, 286, 32, 30, "#7a1f2e")
            canvas.bar((228, 286, 284, 295), 4, "#ffffff")
            canvas.oval(256, 309, 15, 6, "#ef7b82")
        case "grin":
            canvas.bowl(256, 288, 29, 20, "#ffffff")
            canvas.arc((256, 288), (29, 20), (0, 180), lip, 4)
            canvas.line(lip, 4, (228, 288), (284, 288))
        case "lipstick":
            canvas.bowl(256, 292, 21, 11, "#c92f4b")
            canvas.oval(247, 291, 12, 4.5, "#c92f4b")
            canvas.oval(265, 291, 12, 4.5, "#c92f4b")
            canvas.arc((256, 278), (20, 15), (40, 140), "#8f1f37", 2.5)
        case "surprised":
            canvas.oval(256, 298, 11, 14, "#7a1f2e")
        case "calm":
            canvas.arc((256, 284), (26, 14), (35, 145), lip, 5.5)
        case _:
            canvas.arc((256, 276), (30, 26), (28, 152), lip, 6)


# --- Extras ----------------------------------------------------------------------------------------------------


def _round_glasses(canvas: Canvas, _person: Person) -> None:
    for x in (220, 292):
        canvas.glow(x, 240, 27, 27, "#ffffff", 0.16)
        canvas.arc((x, 240), (28, 28), (0, 360), "#2c2f3a", 5)
    canvas.arc((256, 240), (10, 8), (190, 350), "#2c2f3a", 5)
    for side in (-1, 1):
        canvas.line("#2c2f3a", 5, (256 + side * 64, 236), (256 + side * 84, 230))


def _square_glasses(canvas: Canvas, _person: Person) -> None:
    frame = ImageDraw.Draw(canvas.image)
    for x in (220, 292):
        box = _box(x, 241, 28, 22)
        frame.rounded_rectangle(box, 9 * ZOOM, outline="#b3312c", width=6 * ZOOM)
    canvas.line("#b3312c", 6, (247, 236), (265, 236))
    for side in (-1, 1):
        canvas.line("#b3312c", 5, (256 + side * 63, 234), (256 + side * 84, 230))


def _beard(canvas: Canvas, person: Person) -> None:
    colour = person.hair_colour
    canvas.crescent((256, 246, 88, 98), (256, 212, 84, 92), colour)
    canvas.oval(256, 296, 44, 32, colour)
    canvas.oval(256, 300, 31, 21, _darker(colour, 0.1))


def _moustache(canvas: Canvas, person: Person) -> None:
    for side in (-1, 1):
        canvas.oval(256 + side * 17, 281, 21, 8.5, person.hair_colour)


def _freckles(canvas: Canvas, person: Person) -> None:
    for side in (-1, 1):
        for x, y in [(34, 260), (44, 266), (54, 259), (38, 273), (50, 275), (62, 268)]:
            canvas.dot(256 + side * x, y, 2.3, _mix(person.skin, "#a0522d", 0.6))


def _earrings(canvas: Canvas, _person: Person) -> None:
    for side in (-1, 1):
        canvas.arc((256 + side * 89, 278), (11, 13), (0, 360), "#f4b93e", 4.5)


def _flower(canvas: Canvas, _person: Person) -> None:
    for degrees in range(0, 360, 72):
        canvas.dot(*_around(338, 146, 15, degrees), 12, "#ff7aa2")
    canvas.dot(338, 146, 9, "#ffd35c")


def _headband(canvas: Canvas, _person: Person) -> None:
    canvas.crescent((256, 204, 99, 106), (256, 216, 102, 100), "#ffcf4d")


EXTRAS: Final[dict[str, Callable[[Canvas, Person], None]]] = {
    "round glasses": _round_glasses,
    "square glasses": _square_glasses,
    "moustache": _moustache,
    "freckles": _freckles,
    "earrings": _earrings,
    "flower": _flower,
    "headband": _headband,
}
BACKDROPS: Final[dict[str, Callable[[Canvas, str, random.Random], None]]] = {
    "disc": _disc,
    "confetti": _confetti,
    "hills": _hills,
    "rays": _rays,
    "leaves": _leaves,
    "city": _city,
}

PEOPLE: Final = (
    Person(
        skin="#f6cfae", hair="long", hair_colour="#b5502b", eyes="#4e8b57", attire="striped",
        attire_colour="#2b5d8c", mouth="grin", backdrop_colour="#8fc7d8", extras=("freckles",),
    ),
    Person(
        skin="#8a5a3c", hair="afro", hair_colour="#2b1d1a", eyes="#4a2c1b", attire="tee", attire_colour="#f2b632",
        mouth="laugh", brows="raised", backdrop="rays", backdrop_colour="#e87461", extras=("earrings",),
    ),
    Person(
        skin="#eebf94", hair="cropped", hair_colour="#3a2c28", eyes="#5b3a21", attire="blazer",
        attire_colour="#34405e", mouth="calm", brows="bold", backdrop="city", backdrop_colour="#7486b8",
        extras=("round glasses",),
    ),
    Person(
        skin="#f3c9a5", hair="bob", hair_colour="#1f1d2b", eyes="#3a2a20", attire="turtleneck",
        attire_colour="#4f9d8f", backdrop="confetti", backdrop_colour="#f4a7b0",
    ),
    Person(
        skin="#c98d62", hair="bald", hair_colour="#8d8a8a", eyes="#5b3a21", attire="shirt", attire_colour="#5b8bd0",
        mouth="smile", brows="bold", backdrop="leaves", backdrop_colour="#b9d8a8", extras=("beard", "square glasses"),
    ),
    Person(
        skin="#d9a074", hair="scarf", hair_colour="#7a55a3", eyes="#4a2c1b", attire="turtleneck",
        attire_colour="#5c3d80", mouth="smile", backdrop_colour="#f0c987",
    ),
    Person(
        skin="#fbdcc4", hair="bun", hair_colour="#e3b85c", eyes="#3f7fb5", attire="dress", attire_colour="#c2475f",
        mouth="lipstick", backdrop="leaves", backdrop_colour="#a9cfc0", extras=("earrings", "flower"),
    ),
    Person(
        skin="#6b4430", hair="curls", hair_colour="#1c1413", eyes="#3a2216", attire="hoodie",
        attire_colour="#e07a3f", mouth="grin", backdrop="hills", backdrop_colour="#9fd3ee",
    ),
    Person(
        skin="#f1c7a0", hair="beanie", hair_colour="#d8504d", eyes="#6a8f3c", attire="hoodie",
        attire_colour="#3d6b8e", mouth="surprised", brows="raised", backdrop="confetti", backdrop_colour="#a8c3e6",
        extras=("freckles",),
    ),
    Person(
        skin="#a96d48", hair="braids", hair_colour="#33201a", eyes="#3b2417", attire="overalls",
        attire_colour="#3f6fb0", mouth="laugh", backdrop="hills", backdrop_colour="#b5e0f2", extras=("headband",),
    ),
    Person(
        skin="#f4d0b5", hair="quiff", hair_colour="#c9c6c9", eyes="closed", attire="shirt", attire_colour="#6f9a5b",
        mouth="smile", brows="bold", backdrop="rays", backdrop_colour="#f3c25b", extras=("moustache",),
    ),
    Person(
        skin="#e2ab80", hair="ponytail", hair_colour="#d9679a", eyes="#7a5bb0", attire="tee", attire_colour="#2f2f45",
        mouth="calm", backdrop="city", backdrop_colour="#8a74b8", extras=("square glasses",),
    ),
)  # fmt: skip


def draw(person: Person, *, seed: int) -> Image.Image:
    """One portrait; the seed decides the small chances of its backdrop."""
    canvas = Canvas(person.backdrop_colour)
    BACKDROPS[person.backdrop](canvas, person.backdrop_colour, random.Random(seed))
    behind, before = HAIR[person.hair]
    behind(canvas, _darker(person.hair_colour, 0.12))
    _neck(canvas, person.skin)
    _neck_shadow(canvas, person.skin)
    ATTIRE[person.attire](canvas, person.attire_colour, person.skin)
    _head(canvas, person)
    if "beard" in person.extras:
        _beard(canvas, person)
    before(canvas, person.hair_colour)
    for part in (_brows, _eyes, _mouth):
        part(canvas, person)
    _nose(canvas, person.skin)
    for extra in person.extras:
        EXTRAS.get(extra, _no_extra)(canvas, person)
    return canvas.finished()


def _no_extra(_canvas: Canvas, _person: Person) -> None:
    """A beard lies under the hair and is drawn already."""


def record(number: int) -> dict[str, object]:
    """The record of a portrait; they differ in form, as real data does."""
    name = f"portrait-{number:02}"
    path = f"images/{name}.jpg"
    found: dict[str, object] = {"id": name, "image": [path] if number % 3 == 0 else path}
    if number not in {5, 11}:
        found["source"] = "drawn"
    if number not in {8, 11}:
        found["conversation"] = [{"from": "human", "value": ""}]
    return found


def main() -> None:
    """Draw everything."""
    (FOLDER / "images").mkdir(exist_ok=True)
    for number, person in enumerate(PEOPLE, start=1):
        draw(person, seed=number).save(FOLDER / "images" / f"portrait-{number:02}.jpg", quality=88, optimize=True)
    lines = [json.dumps(record(number)) + "\n" for number in range(1, len(PEOPLE) + 1)]
    (FOLDER / "portraits.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
