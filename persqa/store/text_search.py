"""Looking for a text in a run's questions, answers and image references, part by part of the run."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from persqa.items import MAX_ITEMS
from persqa.store.database import Database
from persqa.store.schema import items, results, reviews
from persqa.store.text import storable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persqa.runs import RunId

_ESCAPE = "!"
_KEYS: tuple[sa.Column[int], ...] = (items.c.id, results.c.item_id, reviews.c.item_id)
#: A statement takes at most some ten thousand parameters.
_AT_ONCE = 5000
#: What stands for itself in JSON, and is no part of how JSON writes a list.
_PLAIN = re.compile(r"[ !#-+\--Z^-~]+")


class TextSearch:
    """Reads only. There are no patterns.

    Upper and lower case are the same, letter by letter: `ss` does not find `ß`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def between(self, run_id: RunId, text: str, first: int, last: int) -> list[int]:
        """The items from an index to another that say the text in question, answer, edited answer or image reference.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        low = run_id * MAX_ITEMS
        within = (low + first, low + last)
        return self._found(text, {key: key.between(*within) for key in _KEYS})

    def among(self, text: str, item_ids: Sequence[int]) -> list[int]:
        """Those of some thousand items that say the text.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        return self._found(text, {key: key.in_(item_ids) for key in _KEYS})

    def _found(self, text: str, which: Mapping[sa.Column[int], sa.ColumnElement[bool]]) -> list[int]:
        wanted = _Wanted(storable(text), sqlite=self._database.is_sqlite)
        with self._database.reading() as connection:
            found: list[int] = []
            for key, column in ((results.c.item_id, results.c.answer), (reviews.c.item_id, reviews.c.answer)):
                says = sa.and_(which[key], wanted.like(column))
                if wanted.is_exact:
                    found += self._ids(connection, key, says)[0]
                else:
                    rows = connection.execute(sa.select(key, column).where(says))
                    found += [item_id for item_id, answer in rows if wanted.is_in(answer)]
            return found + self._asked(connection, wanted, which[items.c.id])

    def _asked(self, connection: sa.Connection, wanted: _Wanted, which: sa.ColumnElement[bool]) -> list[int]:
        """The items that say the text in what was asked."""
        in_question, in_images = wanted.like(items.c.question), wanted.like(items.c.images, json_text=True)
        says = sa.and_(which, sa.or_(in_question, in_images))
        if not wanted.is_exact:
            return _certain(connection, wanted, says)
        escaped = items.c.images.contains("\\", autoescape=True)
        in_plain_images = sa.and_(in_images, sa.not_(escaped)) if wanted.is_plain else sa.false()
        is_sure = sa.or_(in_question, in_plain_images)
        found, perhaps = self._ids(connection, items.c.id, says, is_sure)
        for start in range(0, len(perhaps), _AT_ONCE):
            found += _certain(connection, wanted, items.c.id.in_(perhaps[start : start + _AT_ONCE]))
        return found

    def _ids(
        self,
        connection: sa.Connection,
        key: sa.Column[int],
        says: sa.ColumnElement[bool],
        is_sure: sa.ColumnElement[bool] | None = None,
    ) -> tuple[list[int], list[int]]:
        """Items, sure ones and others. They come in two texts: rows would take several times as long as the search."""
        one = sa.cast(key, sa.Text)
        joined = sa.func.group_concat(one) if self._database.is_sqlite else sa.func.string_agg(one, ",")
        columns = [joined] if is_sure is None else [joined.filter(is_sure), joined.filter(sa.not_(is_sure))]
        texts: list[str | None] = [*connection.execute(sa.select(*columns).where(says)).one(), None]
        sure, others = (list(map(int, text.split(","))) if text else [] for text in texts[:2])
        return sure, others


def _certain(connection: sa.Connection, wanted: _Wanted, which: sa.ColumnElement[bool]) -> list[int]:
    """The items of those that may say the text in what was asked that do."""
    rows = connection.execute(sa.select(items.c.id, items.c.question, items.c.images).where(which))
    return [
        item_id
        for item_id, question, images in rows
        if wanted.is_in(question) or any(map(wanted.is_in, cast("list[str]", json.loads(images))))
    ]


class _Wanted:
    """A text that is looked for: a pattern that finds it, and perhaps more, and a look whether it is there."""

    def __init__(self, text: str, *, sqlite: bool) -> None:
        self._text = text
        self._folded = text.casefold()
        self._sqlite = sqlite
        #: Whether the pattern finds nothing else: only Python knows how other letters are folded.
        self.is_exact = text.isascii()
        #: Whether that holds for JSON, too, where nothing is escaped.
        self.is_plain = _PLAIN.fullmatch(text) is not None

    def like(self, column: sa.ColumnElement[Any], *, json_text: bool = False) -> sa.ColumnElement[bool]:
        """The condition for texts that may say it."""
        pattern = "".join(map(_in_json if json_text else _in_text, self._text))
        # SQLite's own folds ASCII; PostgreSQL has a word of its own for that, which takes a fifth of the time where it
        # folds ASCII only.
        compare = column.like if self._sqlite else column.collate("C").ilike
        return compare(f"%{pattern}%", escape=_ESCAPE)

    def is_in(self, text: str) -> bool:
        """Whether a text says it."""
        return self._folded in text.casefold()


def _in_text(character: str) -> str:
    if character in ("%", "_", _ESCAPE):
        return _ESCAPE + character
    has_case = character.casefold() != character or character.upper() != character
    return "%" if has_case and not character.isascii() else character


def _in_json(character: str) -> str:
    if not character.isascii() and _in_text(character) == "%":
        return "%"
    return "".join(map(_in_text, json.dumps(character)[1:-1]))
