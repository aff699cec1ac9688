"""Columns that an input lacks as a whole: a name that was mistyped is found before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persqa.errors import InputError
from persqa.records import SEED_COLUMNS
from persqa.words import nearest, option

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic import JsonValue

    from persqa.runs import RunOptions

#: From so many names on no more are kept: the keys of records can be data.
_MOST_KEPT = 50


class Wanted:
    """The columns that a run names, and which of them no record has so far."""

    def __init__(self, options: RunOptions, *, shown: str) -> None:
        """Nothing is found yet.

        Args:
            options: those of the run.
            shown: the input, as messages name it.
        """
        self._shown = shown
        #: The missing columns, each with its option.
        self._missing = {} if options.image_optional else {options.image_column: "image_column"}
        if options.id_column is not None:
            self._missing[options.id_column] = "id_column"
        # The usual one is there or not; one that is named is there.
        if options.tag_column not in ("", SEED_COLUMNS.tag):
            self._missing[options.tag_column] = "tag_column"
        #: All fields that records have, in order; not looked for any more once nothing is missing.
        self._there: dict[str, None] = {}
        self._records = False

    def look(self, value: JsonValue) -> None:
        """Take the next record; one that is no object tells nothing."""
        if self._missing and isinstance(value, dict):
            self._records = True
            self._take(value)

    def check(self, fields: Sequence[str] | None = None) -> None:
        """Refuse an input of which no record has a column.

        Args:
            fields: those that every record has, if that is known; otherwise all records must have been looked at.

        Raises:
            InputError: a column is missing; the message has those that there are.
        """
        if fields is not None:
            self._take(fields)
        if not self._missing or (fields is None and not self._records):
            return
        name, asked_by = next(iter(self._missing.items()))
        if fields is None:
            lacks, have = f"no record of {self._shown} has a field {name!r}", "they have"
        else:
            lacks, have = f"{self._shown} has no column {name!r}", "it has"
        there, asked = ", ".join(self._there) or "none", option(asked_by)
        near = nearest(name, self._there)
        hint = f"choose one of them with {asked}" if near is None else f"did you mean {asked} {near}?"
        raise InputError(f"{lacks}; {have} {there}: {hint}")

    def _take(self, names: Iterable[str]) -> None:
        found = dict.fromkeys(names)
        self._missing = {name: by for name, by in self._missing.items() if name not in found}
        if len(self._there) < _MOST_KEPT:
            self._there.update(found)
