"""What a reader saw and passed over: by kind, with how many there were and the first of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from persqa.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: From so many kinds on, others count as one more: suffixes can be anything.
_MOST_KINDS = 50
_REST = "other file"
#: How many kinds the line for people has, and how long an example in it is, in characters.
_SHOWN_KINDS = 6
_SHOWN_CHARACTERS = 40
#: The noun of a kind, which gets the s where there are several.
_NOUN = re.compile(r"\b(cell|column|file|folder|line|link|picture|row|split)\b")


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Things of one kind that are no part of any record.

    Attributes:
        kind: what they are, in the singular: `HEIC picture`, `.txt file`, `link to a folder`, `blank line`.
        number: how many there were.
        example: the first one.
    """

    kind: str
    number: int
    example: str


class Passed:
    """Collects what one reading passes over."""

    def __init__(self, known: Iterable[PassedOver] = ()) -> None:
        self._kinds: dict[str, PassedOver] = {}
        for one in known:
            self.add(one.kind, one.example, one.number)

    def add(self, kind: str, example: str, number: int = 1) -> None:
        """Count something; of each kind, the first example is kept, as text that can be printed."""
        if kind not in self._kinds and len(self._kinds) >= _MOST_KINDS:
            kind = _REST
        known = self._kinds.get(kind)
        if known is None:
            known = PassedOver(kind, 0, example.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
        self._kinds[kind] = PassedOver(kind, known.number + number, known.example)

    def __iter__(self) -> Iterator[PassedOver]:
        """The most frequent kinds first."""
        return iter(sorted(self._kinds.values(), key=lambda one: -one.number))


def in_words(passed: Iterable[PassedOver]) -> str:
    """As in `2 HEIC pictures (a.heic), 1 link to a folder (all)`; empty where nothing was passed over."""
    kinds = list(passed)
    said = [f"{counted(one.number, one.kind, _plural(one.kind))} ({_short(one)})" for one in kinds]
    more = sum(one.number for one in kinds[_SHOWN_KINDS:])
    return ", ".join([*said[:_SHOWN_KINDS], *([f"{more} more"] if more else [])])


def _plural(kind: str) -> str:
    return _NOUN.sub(r"\1s", kind, count=1)


def _short(one: PassedOver) -> str:
    """The end of a long example, as that is where names differ."""
    return one.example if len(one.example) <= _SHOWN_CHARACTERS else f"…{one.example[1 - _SHOWN_CHARACTERS :]}"
