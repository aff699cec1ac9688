"""Appending: a whole input is added to an open run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from persqa.additions import Added
from persqa.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from producer.adding import Done

#: How many wrong or refused records are told.
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What became of the records of an input.

    Attributes:
        records: how many it has.
        became: how many of them were added, known, replaced or refused.
        invalid: how many of the added ones are wrong; they are stored as `invalid` and not enqueued.
        first_errors: a sentence for each of the first few that are wrong or refused.
    """

    records: int
    became: dict[Added, int]
    invalid: int
    first_errors: tuple[str, ...]


def appended(batches: Iterable[Done], *, shown: str) -> Appended:
    """Add all batches, and count.

    Raises:
        InputError: the input has no record, or cannot be read to its end; what was added stays.
    """
    became = dict.fromkeys(Added, 0)
    invalid, errors = 0, list[str]()
    for batch in batches:
        for addition, place in batch:
            became[place.added] += 1
            if place.added is Added.REFUSED:
                said = addition.error or "another record of this key is there, with other content"
                errors.append(f"{addition.key}: {said}")
            elif addition.error is not None and place.added is Added.ADDED:
                invalid += 1
                errors.append(addition.error)
        errors = errors[:_SHOWN]
    if not any(became.values()):
        raise InputError(f"{shown} has no record")
    return Appended(records=sum(became.values()), became=became, invalid=invalid, first_errors=tuple(errors))
