"""Markup: Markdown, HTML, code or JSON in an answer that should be plain words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from persqa.flags.flag import Finding, Flag
from persqa.flags.tags import HTML_NAMES

if TYPE_CHECKING:
    from persqa.flags.told import Told

_HTML = "|".join(sorted(HTML_NAMES, key=len, reverse=True))
# What to look for, and what it is a part of.
_KINDS: Final = {
    "**": re.compile(r"\*\*[^\s*][^*\n]{0,200}\*\*"),
    "__": re.compile(r"(?<!\w)__[^\s_][^_\n]{0,200}__(?!\w)"),
    "*": re.compile(r"(?<![\w*])\*[^\W\d][^*\n]{0,80}(?<=[\w.,!?])\*(?![\w*])"),
    "`": re.compile(r"```|`[^`\n]{1,200}`"),
    "#": re.compile(r"(?m)^ {0,3}(?:<[^<>\n]{1,32}> ?)?#{1,6} +\S"),
    "|": re.compile(r"\|\s*:?-{3,}|<\|[a-z_]{2,20}\|>"),
    "](": re.compile(r"\[[^\[\]\n]{1,200}\]\([^()\s]{1,200}\)"),
    "</": re.compile(r"</[A-Za-z][\w-]{0,31}\s?>"),
    "<": re.compile(rf"<(?:{_HTML})(?:\s[^<>]{{0,100}})?/?>"),
    "&": re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{1,6});"),
    "\n": re.compile(r"\n[ \t]*(?:[-*•+][ \t]+\S|\d{1,2}[.)][ \t]+\S|-{3,}[ \t]*\n)"),
    '"': re.compile(r"[{\[]\s*\"[^\"\n]{0,80}\"\s*[:,\]]"),
    "'": re.compile(r"\{\s*'[^'\n]{0,80}'\s*:"),
    ">": re.compile(r"\A\s*> "),
}
#: So many places of each are looked at.
_PLACES = 4


def look(told: Told) -> Finding | None:
    """The first piece of markup."""
    text = told.text.replace(told.tag, "x" * len(told.tag)) if told.tag else told.text
    places = [place for mark, pattern in _KINDS.items() if mark in text and (place := _place(text, mark, pattern))]
    return Finding(Flag.MARKUP, 1.0, *told.place(*min(places))) if places else None


def _place(text: str, mark: str, pattern: re.Pattern[str]) -> tuple[int, int] | None:
    at = -1
    for _ in range(_PLACES):
        at = text.find(mark, at + 1)
        if at < 0:
            return None
        if found := pattern.search(text, max(0, at - 40), at + 300):
            return found.span()
    return None
