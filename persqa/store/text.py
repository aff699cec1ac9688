"""Text that every database can hold."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# PostgreSQL has no NUL in text; half of a surrogate pair has no UTF-8 form.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def storable(text: str) -> str:
    """The text with each NUL and lone surrogate replaced by U+FFFD, the replacement character."""
    return text if text.isascii() and "\0" not in text else _UNSTORABLE.sub("\ufffd", text)


def row_of(thing: DataclassInstance) -> dict[str, object]:
    """The fields of a dataclass as a row, by column; all text is storable."""
    values = {field.name: getattr(thing, field.name) for field in fields(thing)}
    return {name: storable(value) if isinstance(value, str) else value for name, value in values.items()}
