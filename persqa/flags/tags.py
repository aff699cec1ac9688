"""Other tag, tag again: what is wrong with the names in angle brackets of an answer that may keep the tag rule."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from persqa.flags.flag import Finding, Flag

if TYPE_CHECKING:
    from persqa.flags.told import Told

_TAG: Final = re.compile(r"[<＜]\s?[A-Za-z][\w-]{0,31}\s?[>＞]")
#: What stands in brackets in HTML: that is markup.
HTML_NAMES: Final = frozenset(
    """
    a b i u s p q br hr em li ol ul td th tr h1 h2 h3 h4 h5 h6 div pre sub sup img col dl dt dd big ins del kbd
    var code  span strong small mark body html head table tbody thead blockquote font center section article
    """.split()  # noqa: SIM905
)
_SENTENCE_ENDS: Final = ".!?\n…。！？"
#: A sentence before the real one has so many words at most: `Of course.`
_FEW = 3
#: So many tags are looked at.
_TAGS = 12


def other(told: Told) -> Finding | None:
    """The first name in angle brackets that is not the run's."""
    if "<" not in told.text.replace(told.tag, "") and "＜" not in told.text:
        return None
    for found in _TAG.finditer(told.text):
        name = found[0]
        if name != told.tag and name[1:-1] not in HTML_NAMES:
            return Finding(Flag.OTHER_TAG, 1.0, *told.place(*found.span()))
    return None


def again(told: Told) -> Finding | None:
    """The second tag of a sentence, or that of a sentence before which the tag stands alone."""
    tag, text = told.tag, told.text
    if not tag or text.count(tag) < 2:
        return None
    before = text.find(tag)
    first = not text[:before].strip()
    for _ in range(_TAGS):
        at = text.find(tag, before + len(tag))
        if at < 0:
            break
        between = text[before + len(tag) : at]
        if not any(map(between.__contains__, _SENTENCE_ENDS)) or _says_nothing(between, first=first):
            return Finding(Flag.TAG_AGAIN, 1.0, *told.place(at, at + len(tag)))
        before, first = at, False
    return None


def _says_nothing(between: str, *, first: bool) -> bool:
    words = between.split()
    if not any(one.isalnum() for one in between):
        return True
    return first and len(words) <= _FEW and between.startswith(" ") and between.lstrip()[:1].isupper()
