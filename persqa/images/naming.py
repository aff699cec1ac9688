"""References as they may be shown in logs, terminals and the database."""

from __future__ import annotations

import re

from persqa.urls import scheme_of

_LONGEST = 200
#: Of a `data:` URI, or bare base64, only the beginning is shown; the rest is the image.
_LONGEST_OF_DATA = 40
_USER = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*:[/\\]*|[/\\]{2})[^/?#]*@")
_QUERY = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*:[/\\]{2}[^?#]*\?)[^#]+")


def shown_reference(reference: str) -> str:
    """The reference, shortened, without control characters, user, password and query."""
    if scheme_of(reference) == "data":
        return printable(reference, _LONGEST_OF_DATA)
    return printable(_QUERY.sub(r"\1...", _USER.sub(r"\1***@", reference)))


def printable(text: str, longest: int = _LONGEST) -> str:
    """The text, shortened, with control characters escaped."""
    cut = text[:longest] + "..." if len(text) > longest else text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)
