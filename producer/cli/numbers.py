"""Numbers that people type: each option knows from where to where they go, and says so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from persqa.errors import SettingsError
from persqa.words import shortened, shown_value

if TYPE_CHECKING:
    from collections.abc import Callable

#: The largest number that databases and Python's own counts can hold.
MOST: Final = 2**63 - 1

_WHOLE = re.compile(r"\s*[+-]?[0-9]{1,4000}\s*")


def whole(option: str, least: int = 0, most: int = MOST) -> Callable[[int | str], int]:
    """What reads the text of an option that takes a whole number, or of an argument, by its name in messages.

    Raises:
        SettingsError: by the function; the text is no whole number, or one out of range. The message has the range.
    """
    known = f"{least} to {most}" if most != MOST else f"{least} or more"

    def number(text: int | str) -> int:
        # The option's own default comes as a number.
        if not _WHOLE.fullmatch(str(text)):
            raise SettingsError(f"{option}: {shown_value(text)} is no whole number: write one, {known}")
        found = int(text)
        if not least <= found <= most:
            size = "small" if found < least else "large"
            said = known if most != MOST or found < least else f"{most} or less"
            raise SettingsError(f"{option}: {shortened(str(text).strip())} is too {size}: write {said}")
        return found

    return number
