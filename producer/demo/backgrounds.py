"""What is behind a person."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from producer.demo.canvas import Canvas, around, darker, lighter, mix

Background = Callable[[Canvas, str, random.Random], None]


def _disc(canvas: Canvas, colour: str, chance: random.Random) -> None:
    canvas.dot(256 + chance.uniform(-14, 14), 250, chance.uniform(198, 222), lighter(colour, 0.4))


def _confetti(canvas: Canvas, colour: str, chance: random.Random) -> None:
    shades = [lighter(colour, 0.5), darker(colour, 0.14), "#ffffff", "#ffd35c"]
    for row in range(7):
        for column in range(7):
            x, y = 36 + column * 74 + chance.uniform(-18, 18), 36 + row * 74 + chance.uniform(-18, 18)
            canvas.dot(x, y, chance.uniform(5, 11), chance.choice(shades))


def _hills(canvas: Canvas, colour: str, chance: random.Random) -> None:
    canvas.dot(chance.uniform(396, 440), 92, 44, "#ffe08a")
    x = chance.uniform(30, 70)
    canvas.bar((x, 96, x + 120, 122), 13, "#ffffff")
    canvas.bar((x + 36, 76, x + 94, 112), 18, "#ffffff")
    canvas.oval(110, 510, 280, chance.uniform(160, 200), mix(colour, "#5fae6b", 0.75))
    canvas.oval(430, 530, 270, chance.uniform(140, 180), mix(colour, "#3f9160", 0.8))


def _rays(canvas: Canvas, colour: str, chance: random.Random) -> None:
    start = chance.uniform(0, 22.5)
    for turn in range(0, 16, 2):
        ends = [around((256, 260), (900, 900), start + 22.5 * (turn + step)) for step in (0, 1)]
        canvas.shape(lighter(colour, 0.35), (256, 260), *ends)


def _leaves(canvas: Canvas, colour: str, chance: random.Random) -> None:
    for x in (26, 84, 428, 486):
        stem = mix(colour, "#2f7a52", 0.8)
        top = chance.uniform(40, 110)
        canvas.line(stem, 4, (x, 520), (x, top))
        for y in range(int(top) + 14, 520, 46):
            leaf = mix(colour, "#3f9560", chance.uniform(0.45, 0.8))
            canvas.oval(x - 20, y, 19, 10, leaf)
            canvas.oval(x + 20, y + 22, 19, 10, leaf)


def _city(canvas: Canvas, colour: str, chance: random.Random) -> None:
    canvas.dot(96, 92, 34, "#fff3c4")
    for x in range(0, 512, 64):
        top = chance.randint(150, 310)
        canvas.bar((x, top, x + 60, 520), 4, darker(colour, chance.uniform(0.25, 0.45)))
        for y in range(top + 16, 500, 30):
            for side in (12, 36):
                lit = chance.random() < 0.55
                canvas.bar((x + side, y, x + side + 12, y + 16), 2, "#ffdf8e" if lit else darker(colour, 0.2))


BACKGROUNDS: Final[dict[str, Background]] = {
    "a disc": _disc,
    "confetti": _confetti,
    "hills": _hills,
    "sun rays": _rays,
    "leaves": _leaves,
    "a city": _city,
}
