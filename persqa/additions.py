"""Additions: records that are added to an open run one by one, and what became of each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persqa.items import Item, ItemId
    from persqa.results import Result


class Added(StrEnum):
    """What became of a record that was added."""

    ADDED = "added"  #: it is in the ledger
    KNOWN = "known"  #: it was there already: nothing has changed
    REPLACED = "replaced"  #: it took the place of another one of its key
    REFUSED = "refused"  #: another one of its key is there


@dataclass(frozen=True)
class Addition:
    """A record to be added.

    Attributes:
        key: what names it, for people; None where its content does.
        content: the record as JSON.
        items: its items at a position, and the result of the one of a wrong record.
        error: why the record is wrong; None for a usable one.
    """

    key: str | None
    content: str
    items: Callable[[int], tuple[Sequence[Item], Sequence[Result]]]
    error: str | None = None

    @cached_property
    def digests(self) -> tuple[str, str]:
        """Digests of its key and of its content; a record without a key has its content's, which no text has."""
        content = _digest("content", self.content)
        return content if self.key is None else _digest("key", self.key), content


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record of an open run stands.

    Attributes:
        added: what became of it.
        position: its place in the run, from 0; of a refused one, that of the record that is there.
        items: the ids of its items, in the order of their slots; one for a wrong record.
    """

    added: Added
    position: int
    items: tuple[ItemId, ...]


def _digest(kind: str, text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, person=kind.encode()).hexdigest()
