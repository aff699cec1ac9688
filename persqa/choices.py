"""Choices: one of a few words that people type."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from persqa.errors import SettingsError
from persqa.words import listed, no_such, option

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_Choice = TypeVar("_Choice", bound=str)


def refuse_empty(options: Mapping[str, object], *, but: Collection[str] = ()) -> None:
    """Refuse an option with an empty text, but for these, where it has a meaning.

    Raises:
        SettingsError: one is empty.
    """
    for name, value in options.items():
        if value == "" and name not in but:
            raise SettingsError(f"{option(name)} is empty: write what it should be, or leave it out")


def parse_choices(given: str | Iterable[str], choices: Iterable[_Choice], *, name: str) -> tuple[_Choice, ...]:
    """The choices with these values, given one by one or with commas; in the order of the choices.

    Raises:
        SettingsError: there is no such choice; the message has the nearest one, or all that there are.
    """
    known = list(choices)
    parts = given.split(",") if isinstance(given, str) else given
    wanted = {part.strip() for part in parts} - {""}
    if unknown := sorted(wanted - set(known)):
        if len(unknown) == 1:
            raise SettingsError(no_such(name, unknown[0], known))
        raise SettingsError(f"there is no {name} {', '.join(map(repr, unknown))}; choose {listed(known)}")
    return tuple(choice for choice in known if choice in wanted)


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
