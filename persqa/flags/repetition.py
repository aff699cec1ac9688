"""Repetition: words, sentences or characters over and over, as a model says them that does not find the end."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from persqa.flags.flag import Finding, Flag

if TYPE_CHECKING:
    from persqa.flags.told import Told

#: A smaller share that is repeated is no loop but a list, or a way of speaking.
_LEAST = 0.2
#: One character so many times in a row, spaces aside.
_CHARACTERS = 8
#: One word so many times in a row.
_WORDS = 4
#: A sentence that counts when it is said again has so many characters.
_SENTENCE = 8
#: Three words that come so often are a loop where such make up so much of all.
_OFTEN, _SHARE = 3, 0.28
#: So many words, twice in a row, are a loop.
_PHRASE = 4
#: Of many words, or characters, the first and the last are looked at: who is caught in a loop is so until the end.
_FIRST, _LAST = 40, 80
_SIDE = 120
#: A word that may be a syllable over and over has so many letters; only so many of them are looked at.
_LONG_WORD, _LONGEST = 16, 64
_SYLLABLES: Final = re.compile(r"(.{1,4}?)\1{4,}")
_Gram = tuple[str, str, str]


def look(told: Told) -> Finding | None:
    """The first kind of repetition that is found, over the whole answer; the score is the share that is repeated."""
    score = _characters(told) or max(_sentences(told), _words(told.words))
    if score < _LEAST:
        return None
    return Finding(Flag.REPETITION, round(min(1.0, score), 3), *told.place(0, len(told.text)))


def _characters(told: Told) -> float:
    squeezed = told.plain.replace(" ", "")
    if len(squeezed) > 2 * _SIDE:
        squeezed = squeezed[:_SIDE] + squeezed[-_SIDE:]
    for one in set(squeezed):
        if one * _CHARACTERS in squeezed:
            return max(_LEAST, squeezed.count(one) / len(squeezed))
    return float(bool(told.tag) and told.text.count(told.tag) > 2 and told.tag * 3 in told.text.replace(" ", ""))


def _sentences(told: Told) -> float:
    text = told.plain.replace("!", ".").replace("?", ".").replace("\n", ".")
    if not text.isascii():
        text = text.replace("。", ".").replace("！", ".").replace("？", ".")
    said = [one for piece in text.split(".") if len(one := piece.strip(" ,;")) >= _SENTENCE]
    return 1 - len(set(said)) / len(said) if len(set(said)) < len(said) else 0.0


def _words(words: list[str]) -> float:
    if len(words) > _FIRST + _LAST:
        words = words[:_FIRST] + words[-_LAST:]
    grams = list(zip(words, words[1:], words[2:], strict=False))
    # Most answers say no three words again, or only few.
    if len(set(grams)) < len(grams):
        counts = Counter(grams)
        often = sum(count for count in counts.values() if count >= _OFTEN)
        if often >= _SHARE * len(grams):
            return often / len(grams)
        repeated = [gram for gram, count in counts.items() if count > 1]
        # A phrase of four words that is said again repeats two of three.
        if (len(repeated) > 1 or len(set(repeated[0])) == 1) and (again := _in_a_row(words, grams, counts)):
            return again / len(words)
    return float(any(len(word) >= _LONG_WORD and _SYLLABLES.search(word[:_LONGEST]) for word in words))


def _in_a_row(words: list[str], grams: list[_Gram], counts: Counter[_Gram]) -> int:
    """How many words stand in phrases that are said again at once."""
    last: dict[_Gram, int] = {}
    for place, gram in enumerate(grams):
        if counts[gram] < 2:
            continue
        length = place - last.get(gram, place)
        if (length == 1 and gram == grams[place - 1] and counts[gram] >= _WORDS - 2) or (
            length >= _PHRASE and words[place - length : place] == words[place : place + length]
        ):
            return 2 * length
        last[gram] = place
    return 0
