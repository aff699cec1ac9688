"""What was typed, before the command gets it: no empty texts, JSON, files after an @; hints repeat where things are."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from typer.core import TyperArgument, TyperOption

from persqa.complaints import not_json
from persqa.errors import SettingsError
from persqa.system_errors import in_words
from persqa.urls import without_password
from persqa.words import repeat_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic import JsonValue

#: Options whose empty text has a meaning: no field, and no instruction.
_MAY_BE_EMPTY: Final = ("tag_column", "system_prompt")
#: The options that say where things are, which one command has like the other.
_WHERE: Final = {"broker_url": "--broker-url", "database_url": "--database-url"}


def refuse_empty(params: Iterable[object], given: Mapping[str, object]) -> None:
    """Refuse an option or argument with an empty text: mostly a variable of the shell that is not set.

    Args:
        params: those that the command has.
        given: what was typed, by their names.

    Raises:
        SettingsError: one is empty, or blank.
    """
    for param in params:
        if not isinstance(param, TyperArgument | TyperOption) or param.name in _MAY_BE_EMPTY:
            continue
        if any(not text.strip() for text in _texts(given.get(str(param.name)))):
            option = isinstance(param, TyperOption)
            name = max(param.opts, key=len) if option else str(param.metavar or param.name).strip("[]")
            leave_out = ", or leave the option out" if option else ""
            raise SettingsError(f"{name} is empty: write what it should be{leave_out} (is a variable not set?)")


def repeat_where(params: Mapping[str, object]) -> None:
    """Let commands in messages have the options that say where things are, as they were given here."""
    given = {flag: params.get(name) for name, flag in _WHERE.items()}
    repeat_options(" ".join(f"{flag} {shlex.quote(without_password(str(url)))}" for flag, url in given.items() if url))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for one in cast("Iterable[object]", value):
            yield from _texts(one)


def text_or_file(text: str | None, option: str) -> str | None:
    """Read an option that takes a text, or a file with it after an `@`; the line end after the last line is no part.

    Raises:
        SettingsError: the file cannot be read.
    """
    if text is None or not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text("utf-8-sig").removesuffix("\n")
    except (OSError, ValueError) as error:
        why = in_words(error, text[1:]) if isinstance(error, OSError) else "it is no text in UTF-8"
        raise SettingsError(f"{option}: the file {text[1:]!r} cannot be read: {why}") from None


def json_object(text: str | None, option: str) -> dict[str, JsonValue] | None:
    """Read an option that takes a JSON object.

    Raises:
        SettingsError: the text is none.
    """
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise SettingsError(f"{option}: {not_json(error)}") from None
    if not isinstance(value, dict):
        raise SettingsError(f"{option}: expected a JSON object in braces, as in {{}}")
    return cast("dict[str, JsonValue]", value)
