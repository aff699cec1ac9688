"""Told: an answer made ready to be looked at, once for all flags."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

#: Longer answers are looked at where they begin and where they end, so many characters each: looking costs the same
#: however much a model says. Other scripts take longer, and say more in as many.
_SIDE, _SIDE_OF_OTHERS = 500, 250
#: Signs of Chinese and Japanese, which have no spaces between words: each counts as a word.
_SIGN = "\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(rf"[{_SIGN}]|[^\W_{_SIGN}]+(?:'[^\W_{_SIGN}]+)*")
_BETWEEN_WORDS = {ord(one): " " for one in map(chr, range(128)) if not one.isalnum() and one != "'"}
#: Stands between the two halves of a long answer.
_GAP = "\n"


@dataclass(frozen=True, slots=True)
class Told:
    """An answer, and its words.

    Attributes:
        text: the answer; of a long one the beginning and the end.
        gap: where characters of a long one are left out.
        skipped: how many.
        plain: the same in lower case with spaces in place of the tag, and as long.
        words: those of the plain text, in their order.
        distinct: the same, each once.
        tag: the run's; may be empty.
    """

    text: str
    gap: int
    skipped: int
    plain: str
    words: list[str]
    distinct: frozenset[str]
    tag: str

    @classmethod
    def of(cls, answer: str, tag: str) -> Told:
        """Make an answer ready."""
        gap = _SIDE if answer.isascii() else _SIDE_OF_OTHERS
        skipped = max(0, len(answer) - 2 * gap)
        text = answer[:gap] + _GAP + answer[gap + skipped :] if skipped else answer
        plain = lowered(text.replace(tag, " " * len(tag)) if tag else text)
        words = words_of(plain)
        return cls(text, gap, skipped, plain, words, frozenset(words), tag)

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Where something of the text stands in the answer."""
        # What is skipped is as long as what stands in its place and this.
        more = self.skipped - len(_GAP)
        return (start, end) if not self.skipped else (start + more * (start > self.gap), end + more * (end > self.gap))


def lowered(text: str) -> str:
    """In lower case, with straight apostrophes, and exactly as long."""
    if text.isascii():
        return text.lower()
    lower = text.replace("’", "'").lower()
    # Few letters are longer in lower case.
    return lower if len(lower) == len(text) else "".join(one.lower()[0] for one in text.replace("’", "'"))


def words_of(plain: str) -> list[str]:
    """The words of a text in lower case."""
    if plain.isascii():
        # Ten times as fast as the pattern.
        spaced = f" {plain.translate(_BETWEEN_WORDS)} "
        return spaced.replace(" '", " ").replace("' ", " ").split() if "'" in spaced else spaced.split()
    return _WORD.findall(plain)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and its words.

    Attributes:
        words: without the tag.
        distinct: the same, each once, `what's` as `what`.
        tagged: its words in their order with the tag among them.
    """

    words: tuple[str, ...]
    distinct: frozenset[str]
    tagged: tuple[str, ...]


@lru_cache(maxsize=4096)
def asked(question: str, tag: str) -> Asked:
    """Make a question ready; those of a pool come again and again."""
    words = words_of(lowered(question.replace(tag, " " * len(tag)) if tag else question))
    distinct = frozenset(word.partition("'")[0] for word in words) - {"s"}
    return Asked(tuple(words), distinct, tuple(tagged_words(lowered(question), tag)))


def tagged_words(plain: str, tag: str) -> list[str]:
    """The words of a text in lower case, in which the tag is a word."""
    if not tag:
        return words_of(plain)
    words: list[str] = []
    for number, piece in enumerate(plain.split(tag.lower())):
        words += [tag] * (number > 0)
        words += words_of(piece)
    return words
