"""A choice: one of a few words, as people type it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from persqa.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

_Choice = TypeVar("_Choice", bound=str)


def parse_choice(value: str, choices: Iterable[_Choice], *, name: str) -> _Choice:
    """Find the choice that a word stands for.

    Args:
        value: the word.
        choices: all that there are.
        name: what they are, for the message.

    Raises:
        SettingsError: there is no such choice; the message lists those that there are.
    """
    known = list(choices)
    for choice in known:
        if choice == value:
            return choice
    raise SettingsError(f"{value!r} is no {name}: choose {', '.join(known)}")
