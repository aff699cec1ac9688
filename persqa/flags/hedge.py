"""Hedge: the answer is given and taken back in one breath. One `appears to be` is how such models talk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from persqa.flags.flag import Finding, Flag
from persqa.flags.phrases import Phrases

if TYPE_CHECKING:
    from persqa.flags.told import Told

_NOT_QUOTED = r"(?<![\"'“‘«])"
_DOUBT = r"(?: also| just| well| possibly| potentially| even)*"
_PHRASES: Final = Phrases(
    {
        "might": rf"\bmight{_DOUBT} (?:be|have|not|wear|hold|also|show)\b",
        "may": rf"\bmay{_DOUBT} (?:be|have|wear|hold)\b|\bmay not be (?:accurate|correct|entirely)",
        "could": rf"\bcould{_DOUBT} (?:be|have)\b",
        "possibly|perhaps|maybe|conceivably": rf"{_NOT_QUOTED}\b(?:possibly|perhaps|maybe|conceivably)\b",
        "guess": r"\bi (?:can |could |would )?guess\b|\bmy (?:best )?guess\b|\bhad to guess\b",
        "think|believe|suppose|assume": r"\bi (?:think|believe|suppose|assume)\b",
        "sure|certain|certainty": (
            r"\bnot (?:entirely |completely |quite |totally |fully |absolutely )?(?:sure|certain)\b"
            r"|\bbe (?:\w+ )?(?:sure|certain)\b|\b(?:say|tell|know) (?:for|with) (?:sure|certain)"
        ),
        "hard|difficult|tough|tricky": (
            r"\b(?:hard|difficult|tough|tricky) to (?:say|tell|determine|be|know|make|see|discern|judge)\b"
        ),
        "clear|unclear": r"\bnot (?:entirely |completely |quite |very )?clear\b|\bisn't clear\b|\bunclear\b",
        "either": r"\beither (?:an?|the) [^.,;]{1,40} or (?:an?|the)\b",
        "wrong|mistaken": r"\bi (?:could|may|might) be (?:wrong|mistaken)|\bnot (?:wrong|mistaken)\b",
        "seems": r"\bor so it seems\b",
    }
)


def look(told: Told) -> Finding | None:
    """The first words of doubt; the score is about the share of sentences with some."""
    places = sorted(_PHRASES.places(told))
    if not places:
        return None
    sentences = told.text.count(". ") + 1
    return Finding(Flag.HEDGE, round(min(1.0, len(places) / sentences), 3), *told.place(*places[0]))
