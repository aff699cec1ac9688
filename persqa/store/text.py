"""Text as every database can hold it."""

from __future__ import annotations

import re

# PostgreSQL has no NUL in text; half of a surrogate pair has no UTF-8 form.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def storable(text: str) -> str:
    """The text with each NUL and lone surrogate replaced by U+FFFD, the replacement character."""
    return _UNSTORABLE.sub("\ufffd", text)
