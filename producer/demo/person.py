"""Person: the attributes of one portrait, in words."""

from __future__ import annotations

import random
from dataclasses import dataclass, fields
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """The attributes of one portrait; `ATTRIBUTES` has the values of each."""

    hair_colour: str
    hairstyle: str
    eye_colour: str
    eye_shape: str
    skin_tone: str
    glasses: str
    attire: str
    attire_colour: str
    expression: str
    build: str
    accessory: str
    pose: str
    feature: str
    background: str
    background_colour: str


#: The values of each attribute: words of the answers, and names of parts of the drawing.
ATTRIBUTES: Final[dict[str, tuple[str, ...]]] = {
    "hair_colour": ("black", "brown", "blond", "red", "gray", "blue", "pink", "green"),
    "hairstyle": (
        "a buzz cut",
        "a quiff",
        "short curls",
        "a bob with a fringe",
        "long straight hair",
        "a round afro",
        "a high bun",
        "a side ponytail",
        "two long braids",
    ),
    "eye_colour": ("brown", "blue", "green", "gray"),
    "eye_shape": ("round", "narrow", "sleepy"),
    "skin_tone": ("fair", "tan", "brown", "dark"),
    "glasses": ("no glasses", "round glasses", "square glasses", "a monocle"),
    "attire": ("T-shirt", "striped sweater", "hoodie", "suit", "shirt", "dress", "pair of overalls", "turtleneck"),
    "attire_colour": ("red", "orange", "yellow", "green", "blue", "purple", "black", "white"),
    "expression": ("happy", "laughing", "sad", "surprised", "angry", "calm"),
    "build": ("slim", "average", "broad"),
    "accessory": ("nothing", "earrings", "a necklace", "a headband", "headphones", "a scarf", "a flower"),
    "pose": ("arms at rest", "waving", "both hands raised", "hands folded"),
    "feature": (
        "freckles",
        "rosy cheeks",
        "a full beard",
        "a moustache",
        "a star on the cheek",
        "a plaster on the nose",
    ),
    "background": ("a disc", "confetti", "hills", "sun rays", "leaves", "a city"),
    "background_colour": ("sky blue", "coral", "lilac", "mint", "sand", "rose"),
}


def random_person(chance: random.Random) -> Person:
    """A person with random attributes, all values equally likely."""
    return Person(**{field.name: chance.choice(ATTRIBUTES[field.name]) for field in fields(Person)})
