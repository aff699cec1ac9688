"""Complaints: what pydantic finds wrong with a value, in words that say what to write instead."""

from __future__ import annotations

from json import JSONDecodeError
from typing import TYPE_CHECKING, cast

from persqa.words import no_such, shown_value

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from pydantic_core import ErrorDetails

#: What a value is not, by the beginning of pydantic's code for the error.
_KINDS = {
    "int_": "no whole number",
    "float_": "no number",
    "finite_number": "no number",
    "bool_": "neither true nor false",
    "string_type": "no text",
    "string_sub_type": "no text",
    "string_unicode": "no text",
    "path_type": "no path",
    "list_type": "no list",
    "tuple_type": "no list",
    "dict_type": "no JSON object",
    "mapping_type": "no JSON object",
    "model_": "no JSON object",
    "is_instance_of": "of the wrong kind",
    "invalid-json-value": "nothing that JSON has a form for",
}
#: What is said of a value and the limit that it breaks.
_LIMITS: dict[str, tuple[str, Callable[[object, object], str]]] = {
    "greater_than_equal": ("ge", lambda value, limit: f"{value} is too small: write {limit} or more"),
    "greater_than": ("gt", lambda value, limit: f"{value} is too small: write more than {limit}"),
    "less_than_equal": ("le", lambda value, limit: f"{value} is too large: write {limit} or less"),
    "less_than": ("lt", lambda value, limit: f"{value} is too large: write less than {limit}"),
}


class WrongSetting(ValueError):
    """A setting that does not go with another one; for validators that look at several."""

    def __init__(self, setting: str, sentence: str) -> None:
        super().__init__(sentence)
        self.setting = setting


def explained(error: ErrorDetails, *, names: Collection[str] = (), secret: bool = False) -> str:
    """What is wrong with a value.

    Args:
        error: one of pydantic's.
        names: those that there are, where the error may be an unknown name.
        secret: whether the value must not be shown.
    """
    kind, context = error["type"], cast("Mapping[str, object]", error.get("ctx", {}))
    value = "the value" if secret else shown_value(error["input"])
    if kind == "value_error":
        return str(context["error"])
    if kind == "extra_forbidden":
        return no_such("parameter", str(error["loc"][-1]), names)
    if kind in ("enum", "literal_error"):
        choices = str(context["expected"]).replace("'", "").replace(" or ", ", ")
        return f"{value} is none of {choices}"
    if kind in _LIMITS:
        name, say = _LIMITS[kind]
        limit = context[name]
        return say(error["input"], int(limit) if isinstance(limit, float) and limit.is_integer() else limit)
    if kind == "string_too_short":
        return "must not be empty"
    for beginning, what in _KINDS.items():
        if kind.startswith(beginning):
            return f"{value} is {what}"
    # A kind that no setting and no option has today.
    return f"{value} cannot be used: {error['msg'][:1].lower()}{error['msg'][1:]}"


def not_json(error: BaseException, what: str = "") -> str:
    """That a text is not valid JSON, and in which column, or line and column, that shows; `what` is the text's name."""
    found = f"{what} is not valid JSON" if what else "not valid JSON"
    if isinstance(error, UnicodeDecodeError):
        return f"{found}: byte {error.start + 1} is not UTF-8"
    if not isinstance(error, JSONDecodeError):
        deep = isinstance(error, RecursionError)
        return f"{found}: {'too many brackets inside each other' if deep else error}"
    text = error.doc.rstrip()
    place = min(error.pos, len(text))
    line, column = text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)
    where = f"line {line}, column {column}" if "\n" in text else f"column {column}"
    return f"{found}, at {where}: {error.msg[:1].lower()}{error.msg[1:].removesuffix(' at')}"


def together(head: str, lines: Sequence[str]) -> str:
    """One complaint as it is; several below a head, a line each."""
    return lines[0] if len(lines) == 1 else "\n  ".join([head, *lines])
