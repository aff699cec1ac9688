"""The colours behind the words for a person."""

from __future__ import annotations

import random
from typing import Final

from PIL import ImageColor

HAIR: Final = {
    "black": "#211d26",
    "brown": "#84502a",
    "blond": "#ecc464",
    "red": "#c4471f",
    "gray": "#a9adb5",
    "blue": "#3268c8",
    "pink": "#ee7fb4",
    "green": "#3d9a55",
}
EYES: Final = {"brown": "#6d3f1c", "blue": "#2f83e0", "green": "#35a04a", "gray": "#8d97a3"}
SKIN: Final = {"fair": "#fbdcc6", "tan": "#e3ad7c", "brown": "#a9693f", "dark": "#55331f"}
ATTIRE: Final = {
    "red": "#d33a3a",
    "orange": "#f08a2c",
    "yellow": "#f6cf3f",
    "green": "#4c9f5d",
    "blue": "#3a6fc9",
    "purple": "#8048ad",
    "black": "#2c2a33",
    "white": "#f2f1ee",
}
BACKGROUND: Final = {
    "sky blue": "#8fc7e8",
    "coral": "#f2917f",
    "lilac": "#b9a3dc",
    "mint": "#a5dcc0",
    "sand": "#efd29a",
    "rose": "#f4b3c2",
}


def shade(colour: str, chance: random.Random) -> str:
    """A similar colour: slightly brighter or darker, slightly off in hue."""
    brightness = chance.uniform(-9, 9)
    channels = (value + brightness + chance.uniform(-5, 5) for value in ImageColor.getrgb(colour))
    return "#" + "".join(f"{min(255, max(0, round(value))):02x}" for value in channels)
