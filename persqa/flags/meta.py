"""Meta: the answer talks of the picture, the prompt or the model instead of what is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from persqa.flags.flag import Finding, Flag
from persqa.flags.phrases import Phrases

if TYPE_CHECKING:
    from persqa.flags.told import Asked, Told

_PICTURES: Final = frozenset({"image", "picture", "photo", "photograph"})
_PICTURE = r"(?:image|picture|photo|photograph)\b"
_THE = r"(?:the|this|that)(?: (?:given|provided|above|attached|uploaded))?"
# Not `a`: who holds a picture is no reason to think of the picture.
_OF_PICTURES: Final = Phrases(
    {
        "image|picture|photo|photograph": (
            rf"\b(?:in|from|on|to|at|by|of) {_THE} {_PICTURE}"
            r"(?! (?:frame|book|window|on the|in the|behind))"
            rf"|\b{_THE} {_PICTURE} "
            r"(?:shows|features|depicts|captures|displays|presents|portrays|contains)\b"
            rf"|\b(?:this|it) (?:is|appears to be) an? {_PICTURE} of"
            rf"|\b(?:in|from) an? {_PICTURE} (?:that|which) (?:you|was|is)\b"
            rf"|\b(?:provided|given|attached|uploaded) {_PICTURE}|{_PICTURE} (?:provided|given|attached|uploaded)\b"
        ),
        "pictured": r"\b(?:person|man|woman|child|character|subject) pictured\b",
    }
)
_OF_MODELS: Final = Phrases(
    {
        "ai": r"\b(?:as an|i'm an|i am an) ai\b",
        "model": r"\b(?:as an?|i'm an?|i am an?|i'm just an?|i am just an?) (?:\w+ )?(?:language|vision|ai) model",
        "assistant": r"\b(?:as an?|i'm an?|i am an?) (?:\w+ )?assistant",
        "requested": r"\bas (?:you )?requested\b",
        "certainly|sure|absolutely|course|okay": r"^\W*(?:certainly|sure|absolutely|of course|okay) ?[,!.:]",
        "here|here's": r"^\W*here(?:'s| is) (?:the|an?|your|my) (?:answer|description|response)\b",
        "answer": r"^\W*(?:the )?answer:",
    }
)


def look(told: Told, question: Asked) -> Finding | None:
    """The first words about the picture, unless the question asks about it, or about the model."""
    places = [*_OF_MODELS.places(told)]
    if _PICTURES.isdisjoint(question.distinct):
        places += _OF_PICTURES.places(told)
    return Finding(Flag.META, 1.0, *told.place(*min(places))) if places else None
