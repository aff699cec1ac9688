"""Answers: what became of records, one by one or counted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from persqa.additions import Added

if TYPE_CHECKING:
    from persqa.additions import Addition, Place
    from persqa.records import RawRecord
    from producer.adding import Done

#: A record that was added and cannot be used: it has its result.
INVALID = "invalid"
#: Sentences about records in one answer.
_MOST_ERRORS = 20
_TAKEN = "another record of this key is there: to take the new one, add it with replace=true"


def outcome(addition: Addition, place: Place) -> dict[str, object]:
    """What became of one record."""
    said: dict[str, object] = {
        "status": _status(addition, place),
        "key": addition.digests[0] if addition.key is None else addition.key,
        "items": list(place.items),
    }
    message = _message(addition, place)
    return said if message is None else {**said, "message": message}


class Tally:
    """Many records, counted, with sentences about the first that are wrong or refused."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.records = 0
        self._counts = Counter[str]()
        self._errors: list[dict[str, object]] = []

    def add(self, records: list[RawRecord], done: Done) -> None:
        """Count some more."""
        self.records += len(records)
        for record, (addition, place) in zip(records, done, strict=True):
            status = _status(addition, place)
            self._counts[status] += 1
            if (message := _message(addition, place)) is not None and len(self._errors) < _MOST_ERRORS:
                named = {} if addition.key is None else {"key": addition.key}
                self._errors.append({"record": record.place, "status": status, **named, "message": message})

    def told(self) -> dict[str, object]:
        """The counts, for the client."""
        counts = {status: self._counts[status] for status in (*Added, INVALID)}
        return {"run": self.run, "records": self.records, "counts": counts, "errors": self._errors}


def _status(addition: Addition, place: Place) -> str:
    return INVALID if addition.error is not None and place.added is Added.ADDED else str(place.added)


def _message(addition: Addition, place: Place) -> str | None:
    return addition.error or (_TAKEN if place.added is Added.REFUSED else None)
