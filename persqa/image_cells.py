"""Images in a record's field: references, and cells `{"bytes", "path"}` as data sets of Hugging Face have them.

A cell in JSON has its bytes as base64 or as numbers, or a reference in their place; other keys of it have no meaning.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, cast

from persqa.urls import scheme_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import JsonValue

_BYTES, _PATH = "bytes", "path"


def reference_in(value: JsonValue) -> JsonValue:
    """The reference in a cell, None in one that has neither bytes nor a path; what is no cell stays."""
    if not isinstance(value, dict) or not ({_BYTES, _PATH} & value.keys()):
        return value
    match value.get(_BYTES):
        case None | "" | []:
            return value.get(_PATH)
        case str(text):
            return text if scheme_of(text) in {"blob", "data"} else f"data:;base64,{text}"
        case list(numbers) if all(type(number) is int and 0 <= number < 256 for number in numbers):
            return f"data:;base64,{b64encode(bytes(cast('list[int]', numbers))).decode()}"
        case _:
            return value


def is_whole_in(value: JsonValue) -> bool:
    """Whether the reference in a value is all that it says, since it has no other keys."""
    return not isinstance(value, dict) or value.keys() <= {_BYTES, _PATH}


def with_reference(value: JsonValue, change: Callable[[str], str]) -> JsonValue:
    """A reference or a cell with its reference changed; a cell whose bytes are a file now has its path alone."""
    reference = reference_in(value)
    if not isinstance(reference, str):
        return value
    changed = change(reference)
    if not isinstance(value, dict):
        return changed
    if changed == reference:
        return value
    return {**value, **({_BYTES: None} if _BYTES in value else {}), _PATH: changed}
