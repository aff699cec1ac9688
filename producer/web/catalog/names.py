"""Names: texts as small numbers, and no more of them than memory has room for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The code of no value, and of a value that has no code of its own.
NO_VALUE: Final = 0
OTHER: Final = 1
#: Values with codes of their own, and their characters together.
MOST_NAMES: Final = 10_000
_MOST_CHARACTERS: Final = 2_000_000


class Names:
    """The values of one column; a code, once given, stays."""

    def __init__(self, words: Iterable[str] = (), *, most: int = MOST_NAMES) -> None:
        """Begin with some words.

        Args:
            words: those that are known.
            most: how many values get a code of their own; the others share `OTHER`.
        """
        self._texts = ["", ""]
        self._codes: dict[str | None, int] = {None: NO_VALUE, "": NO_VALUE}
        self._most = most
        self._characters = 0
        for word in words:
            self._add(word)

    @property
    def texts(self) -> tuple[str, ...]:
        """The values by their codes; the two first codes have none."""
        return tuple(self._texts)

    def code(self, text: str) -> int | None:
        """The code of a value; None if no item has it, or if it shares its code with others."""
        return self._codes.get(text) if text else None

    def codes(self, texts: Iterable[str | None]) -> list[int]:
        """The codes of values, new ones where there is room."""
        given = list(texts)
        codes = list(map(self._codes.get, given))
        # A look for what is missing costs less than a question at each value.
        if None in codes:
            codes = [self._codes.get(text) or self._add(text) for text in given]
        return cast("list[int]", codes)

    def _add(self, text: str | None) -> int:
        if not text:
            return NO_VALUE
        if len(self._texts) - 2 >= self._most or self._characters + len(text) > _MOST_CHARACTERS:
            return OTHER
        self._characters += len(text)
        self._texts.append(text)
        return self._codes.setdefault(text, len(self._texts) - 1)
