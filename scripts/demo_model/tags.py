"""Tags to train and to test with."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Final

from persqa.tags import Tag

if TYPE_CHECKING:
    import random

#: The tag of the examples; the model hears it more often than any other.
MAM: Final = Tag("<mam>")
_MAM_SHARE: Final = 0.25

#: Never seen in training, so that tests can ask whether the model copies a tag or only remembers it.
HELD_OUT_TAGS: Final = tuple(
    Tag(f"<{name}>")
    for name in (
        "zoe",
        "Mr_Fox",
        "robot-7",
        "Clementine",
        "kai",
        "grandpa",
        "Ms_Okafor",
        "x2",
        "bluebird",
        "Captain-Redbeard",
    )
)
#: As unlike a name as a tag can be.
ODD_TAGS: Final = (
    *(Tag("<" + name + ">") for name in ("a", "Q9-x_7", "R2-D2_v3-77", "no--dashes__here", "n0123456789")),
    Tag("<Abcdefghijklmnopqrstuvwxyz-01234>"),
    Tag("<" + "Xy7_" * 8 + ">"),
)

_LETTERS: Final = string.ascii_letters
_INSIDE: Final = _LETTERS + string.digits + "_-"
_LONGEST: Final = 32
_ONSETS: Final = ("b", "br", "ch", "d", "f", "g", "gr", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "z")
_NUCLEI: Final = ("a", "e", "i", "o", "u", "ai", "ee", "io", "ou", "y")
_CODAS: Final = ("", "", "", "l", "n", "r", "s", "t", "nd", "ck", "m", "x")


def random_tag(chance: random.Random) -> Tag:
    """A tag to train with: often that of the examples, otherwise anything a tag can be."""
    if chance.random() < _MAM_SHARE:
        return MAM
    while True:
        tag = Tag(f"<{_random_name(chance)[:_LONGEST]}>")
        if tag not in HELD_OUT_TAGS and tag not in ODD_TAGS:
            return tag


def _random_name(chance: random.Random) -> str:
    kind = chance.random()
    if kind < 0.35:
        return _word(chance)
    if kind < 0.45:
        return chance.choice("_-").join(_word(chance) for _ in range(chance.randint(2, 3)))
    if kind < 0.57:
        return f"{_word(chance)}{chance.choice(('', '_', '-'))}{chance.randrange(1000)}"
    length = chance.randint(1, _LONGEST) if kind < 0.63 else chance.randint(2, 10)
    letters = _INSIDE if kind < 0.9 else string.ascii_lowercase
    return chance.choice(_LETTERS) + "".join(chance.choices(letters, k=length - 1))


def _word(chance: random.Random) -> str:
    syllables = (
        chance.choice(_ONSETS) + chance.choice(_NUCLEI) + chance.choice(_CODAS) for _ in range(chance.randint(1, 3))
    )
    word = "".join(syllables)
    return chance.choice((word, word, word.capitalize(), word.upper()))
