"""Choices: one of a few words that people type."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from persqa.errors import SettingsError
from persqa.words import no_such

if TYPE_CHECKING:
    from collections.abc import Iterable

_Choice = TypeVar("_Choice", bound=str)


def parse_choice(value: str, choices: Iterable[_Choice], *, name: str) -> _Choice:
    """The choice with this value; `name` says in the message what the choices are.

    Raises:
        SettingsError: there is no such choice; the message has the nearest one, or all of a few.
    """
    known = list(choices)
    for choice in known:
        if choice == value:
            return choice
    raise SettingsError(no_such(name, value, known))
