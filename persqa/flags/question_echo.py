"""Question echo: the answer says the question again. To take up its words in a sentence of one's own is no echo."""

from __future__ import annotations

import re
from math import ceil
from typing import TYPE_CHECKING, Final

from persqa.flags.flag import Finding, Flag
from persqa.flags.told import lowered, tagged_words, words_of

if TYPE_CHECKING:
    from persqa.flags.told import Asked, Told

#: The part of the question, from its beginning, that is an echo; and so many words at least.
_PART, _LEAST = 0.6, 3
#: Of the words of a question in the answer so many are the question's.
_SAME, _OF_WHICH = 0.6, 0.8
#: So many questions in an answer are looked at.
_QUESTIONS = 3
_SENTENCE_END: Final = re.compile(r"[.!?。！？\n:*]")
_SIGNS: Final = re.compile("[\u3040-\u30ff\u3400-\u9fff]")


def look(told: Told, question: Asked) -> Finding | None:
    """Where the question is said again."""
    if not question.distinct:
        return None
    first = question.words[0]
    # Most answers hold neither the question's first word nor a question mark.
    if first in told.distinct and _begins_alike(told, question):
        at = max(0, told.plain.find(first))
        return Finding(Flag.QUESTION_ECHO, 1.0, *told.place(at, len(told.text)))
    for start, end in _questions(told.plain):
        if score := _likeness(told.plain[start:end], question):
            return Finding(Flag.QUESTION_ECHO, score, *told.place(start, end))
    return None


def _begins_alike(told: Told, question: Asked) -> bool:
    words = question.tagged
    # Where the question is not asked by its first words, it is an echo as a whole.
    whole = bool(_SIGNS.search(" ".join(words)))
    enough = len(words) if whole else min(len(words), max(_LEAST, ceil(_PART * len(words))))
    return f" {' '.join(words[:enough])} " in f" {' '.join(tagged_words(lowered(told.text), told.tag))} "


def _questions(plain: str) -> list[tuple[int, int]]:
    """Where the sentences stand that end in a question mark."""
    found: list[tuple[int, int]] = []
    at = plain.find("?")
    while at >= 0 and len(found) < _QUESTIONS:
        ends = [end.end() for end in _SENTENCE_END.finditer(plain, max(0, at - 200), at)]
        found.append((ends[-1] if ends else max(0, at - 200), at + 1))
        at = plain.find("?", at + 1)
    return found


def _likeness(sentence: str, question: Asked) -> float:
    said = {word.partition("'")[0] for word in words_of(sentence)} - {"s"}
    same = len(said & question.distinct)
    if same < 2:
        return 0.0
    if same >= _SAME * len(question.distinct) or (same >= _LEAST and same >= _OF_WHICH * len(said)):
        return round(same / len(said), 3)
    return 0.0
