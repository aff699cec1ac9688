"""Refusal: the answer says that the model cannot or will not answer."""

from __future__ import annotations

import re

from persqa.flags.flag import Finding, Flag

_REFUSAL = re.compile(r"i(?:'|’)?m sorry|i can(?:no|'|’)t (?:help|assist|tell|see)|unable to", re.IGNORECASE)


def look(answer: str) -> Finding | None:
    """The first words that refuse."""
    found = _REFUSAL.search(answer)
    return found and Finding(Flag.REFUSAL, 1.0, *found.span())
