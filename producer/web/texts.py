"""Texts of strangers on a page: whole where they are short, harmless where they are not.

Escaping is the templates' own. What is left are texts that are markup to nobody and still spoil a page: megabytes,
letters under a tower of accents, and marks that turn the text around them.
"""

from __future__ import annotations

import re
import unicodedata

#: Characters of a text that a page shows.
MOST_SHOWN = 4000
#: Accents on one letter; no language stacks more.
_MOST_MARKS = 8
_TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
#: Control characters, others that end a line, and halves of characters, which cannot be sent.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def shown(text: str, most: int = MOST_SHOWN) -> str:
    """The text as a page shows it, cut to so many characters.

    Control characters, and marks that turn the direction of what follows, are shown by their numbers.
    """
    cut = text[:most]
    cut = _TURNING.sub(_named, _CONTROL.sub(_named, cut))
    return _without_towers(cut) + ("…" if len(text) > most else "")


def _named(found: re.Match[str]) -> str:
    return f"⟨U+{ord(found[0]):04X}⟩"


def _without_towers(text: str) -> str:
    if text.isascii():
        return text
    kept, marks = list[str](), 0
    for letter in text:
        marks = marks + 1 if unicodedata.category(letter) in {"Mn", "Me"} else 0
        if marks <= _MOST_MARKS:
            kept.append(letter)
    return "".join(kept)
