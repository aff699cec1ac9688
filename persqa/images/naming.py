"""References as they may stand in a log, a terminal and a database."""

from __future__ import annotations

import re

_LONGEST = 200
#: A `data:` URI is named by its beginning; the rest is the picture.
_LONGEST_OF_DATA = 40
_USER = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*:[/\\]*|[/\\]{2})[^/?#]*@")
_QUERY = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*:[/\\]{2}[^?#]*\?)[^#]+")


def shown_reference(reference: str) -> str:
    """Short, without control characters, and without what opens doors: user, password, query."""
    if reference[:5].lower() == "data:":
        return printable(reference, _LONGEST_OF_DATA)
    return printable(_QUERY.sub(r"\1...", _USER.sub(r"\1***@", reference)))


def printable(text: str, longest: int = _LONGEST) -> str:
    """The text without control characters, and cut."""
    cut = text[:longest] + "..." if len(text) > longest else text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)
