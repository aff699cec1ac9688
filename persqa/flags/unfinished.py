"""Unfinished: the last sentence is cut. A phrase without a full stop may be whole."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from persqa.flags.flag import Finding, Flag
from persqa.generations import FinishReason

if TYPE_CHECKING:
    from persqa.flags.told import Told

#: The text's end that is looked at, in characters.
_END = 300
_CLOSERS = "\"”'’)]}»」』*_`"
_FULL_STOPS: Final = frozenset(".!?…。！？")
_HANGING: Final = frozenset(",;:-–—(<[{/“‘«「&，、：；（")
# With these words no sentence ends.
_LEADING: Final = frozenset(
    """
    a an the and or with of by for from into onto is are was were that which who whose has very his her their
    its my  your because but while although than as if in to at both one some slightly also just most more such
    other another  einen eine ein einem einer der das und mit von zu ist des avec du et une dans est qui los las
    con un una y que  del il lo gli di della uma os het een en van
    """.split()  # noqa: SIM905
)
_ADJECTIVE_ENDS: Final = re.compile(
    r"\b(?:an?|the|with|and|small|large|long|short) (?:small|large|long|short|big|red|blue|green|white|black|brown|gray"
    r"|grey|dark|light|bright|wide|yellow|golden|silver|single|pair|left|right)$"
)
_NOUN_LIKE: Final = re.compile(r"(?:black and white|the (?:left|right|red|blue|green|yellow|black|white|dark|light))$")
_SENTENCE: Final = re.compile(r"[.!?…]['\")”’]?\s+['\"(“]?[a-z<]|[。！？;] ?\w")
_LIST_LINE: Final = re.compile(r"\s*(?:[-*•]|\d+[.)])\s")
# Signs after which more comes, in Chinese and Japanese.
_LEADING_SIGNS: Final = frozenset("的和与是在有条一个件着把及或跟")


def look(told: Told, finish_reason: FinishReason) -> Finding | None:
    """Where the text ends, if it ends too early."""
    text = told.text.rstrip()
    if not text:
        return None
    score = _score(told.plain[: len(text)][-_END:], text[-_END:], finish_reason)
    return Finding(Flag.UNFINISHED, score, *told.place(len(text), len(text))) if score else None


def _score(plain: str, text: str, finish_reason: FinishReason) -> float:
    if text[-1] in _HANGING:
        return 1.0
    if text.rstrip(_CLOSERS)[-1:] in _FULL_STOPS:
        return 0.0
    if finish_reason is FinishReason.LENGTH:
        return 1.0
    if not text[-1].isalnum():
        return 0.0
    return _words_score(plain)


def _words_score(plain: str) -> float:
    """The same for a text that ends in a word."""
    last = plain.rsplit(None, 1)[-1].strip("\"'(“") if plain.strip() else ""
    if last in _LEADING or plain[-1] in _LEADING_SIGNS:
        return 1.0
    if plain.count('"') % 2 or plain.count("(") > plain.count(")") or plain.count("“") > plain.count("”"):
        return 0.9
    if _ADJECTIVE_ENDS.search(plain, max(0, len(plain) - 30)) and not _NOUN_LIKE.search(plain[-30:]):
        return 0.7
    return 0.8 if _SENTENCE.search(plain) and not _LIST_LINE.match(plain.rsplit("\n", 1)[-1]) else 0.0
