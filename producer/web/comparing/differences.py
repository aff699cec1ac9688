"""Differences: in which words two answers differ."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Words of an answer that are compared; longer ones are shown without marks, for comparing takes the square of it.
MOST_WORDS = 300
_MOST_LETTERS = 100 * MOST_WORDS
_WORD = re.compile(r"\s*\S+\s*")


class Piece(NamedTuple):
    """A part of an answer, and whether the other answer has other words there."""

    text: str
    differs: bool


def differences(a: str, b: str, *, tags: tuple[str, str] = ("", "")) -> tuple[list[Piece], list[Piece]]:
    """Both answers in pieces; together, the pieces of an answer are the answer itself.

    Args:
        a: an answer.
        b: another one.
        tags: those of the two; a tag is the same as the other one.
    """
    ours, theirs = _words(a), _words(b)
    if not ours or not theirs or max(len(ours), len(theirs)) > MOST_WORDS:
        differs = bool(ours) != bool(theirs)
        return _whole(a, differs=differs), _whole(b, differs=differs)
    left, right = _said(ours, tags[0]), _said(theirs, tags[1])
    blocks = SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
    return (
        list(_pieces(("".join(ours[i:j]), kind != "equal") for kind, i, j, _, _ in blocks if i < j)),
        list(_pieces(("".join(theirs[i:j]), kind != "equal") for kind, _, _, i, j in blocks if i < j)),
    )


def _words(text: str) -> list[str]:
    """The words with the white space around them; blank text has none."""
    # What begins with white space keeps it: nothing of the text is lost.
    return _WORD.findall(text) if len(text) <= _MOST_LETTERS else [text] * (MOST_WORDS + 1)


def _said(words: list[str], tag: str) -> list[str]:
    """What is compared: how words are spaced does not matter, nor how the tag is called."""
    return [(word.replace(tag, "{tag}") if tag else word).strip() for word in words]


def _whole(text: str, *, differs: bool) -> list[Piece]:
    return [Piece(text, differs)] if text else []


def _pieces(found: Iterator[tuple[str, bool]]) -> Iterator[Piece]:
    """Without the white space behind words that differ: it is the same everywhere."""
    for text, differs in found:
        said = text.rstrip() if differs else text
        if said:
            yield Piece(said, differs)
        if len(said) < len(text):
            yield Piece(text[len(said) :], differs=False)
