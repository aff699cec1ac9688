"""Phrases: turns of speech, found by one word that each of them has, so that most answers cost a look into a set."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from persqa.flags.told import Told

#: Characters around the word in which its phrase is looked for.
_BEFORE, _AFTER = 60, 90
#: So many places of one word are looked at.
_PLACES = 3


class Phrases:
    """Turns of speech by the word to look for; each is a pattern for text in lower case."""

    def __init__(self, by_word: Mapping[str, str], *, by_part: Mapping[str, str] | None = None) -> None:
        """Prepare.

        Args:
            by_word: words (several with `|` between them) and the phrases they stand in.
            by_part: the same for scripts without spaces: parts of a text.
        """
        self._by_word = {word: re.compile(pattern) for words, pattern in by_word.items() for word in words.split("|")}
        self._words = frozenset(self._by_word)
        self._by_part = {part: re.compile(pattern) for part, pattern in (by_part or {}).items()}

    def places(self, told: Told) -> Iterator[tuple[int, int]]:
        """Where the phrases stand in the text: at most one for each word."""
        for word in told.distinct & self._words if not told.distinct.isdisjoint(self._words) else ():
            if place := _place(told.plain, word, self._by_word[word]):
                yield place
        if self._by_part and not told.plain.isascii():
            for part, pattern in self._by_part.items():
                if part in told.plain and (place := _place(told.plain, part, pattern)):
                    yield place


def _place(plain: str, word: str, pattern: re.Pattern[str]) -> tuple[int, int] | None:
    at = -1
    for _ in range(_PLACES):
        at = plain.find(word, at + 1)
        if at < 0:
            return None
        if found := pattern.search(plain, max(0, at - _BEFORE), at + len(word) + _AFTER):
            return found.span()
    return None
