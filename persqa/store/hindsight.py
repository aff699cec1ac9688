"""Hindsight: flags that only the whole run shows, worked out at the end of a run or at any time.

Answers and hashes of pictures are read in chunks and kept as numbers; what is written is what has changed. So it may be
called again and again, and while workers store results.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import sqlalchemy as sa

from persqa.flags import Finding, Flag
from persqa.flags.near import NearAnswers, near_pictures
from persqa.flags.overview import Overview, StockAnswer
from persqa.flags.stock import may_be_often, normal_answer, stock_answers
from persqa.items import MAX_ITEMS, ItemId
from persqa.questions import TAG_FIELD
from persqa.store.evidence import flags, picture_hashes
from persqa.store.flags import count_flags, flag_row, insert_flags, take_out_flags
from persqa.store.schema import items, results

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persqa.runs import RunId
    from persqa.store.database import Database

#: Rows that are read at once, and flags that are written in one transaction.
_READ, _WRITTEN = 20_000, 5_000
#: Of pictures that differ in one bit more the score is so much less.
_LESS = 1 / 16


class Hindsight:
    """Looks over whole runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def look_over(self, run_id: RunId) -> Overview:
        """Flag near-duplicate pictures and stock answers of a run, and take back such flags that no longer hold.

        A million items take minutes, and half a gigabyte of memory for as long.
        """
        near = self._near_pictures(run_id)
        added, removed = self._write(run_id, Flag.SEEN_BEFORE, near, flags.c.score < 1)
        answers = _Answers(self._database, run_id)
        stock = answers.stock()
        more, fewer = self._write(run_id, Flag.STOCK_ANSWER, answers.items_with(stock), sa.true())
        return Overview(
            stock_answers=answers.described(stock),
            near_pictures=len(near),
            near_answers=answers.near,
            added=added + more,
            removed=removed + fewer,
        )

    def _near_pictures(self, run_id: RunId) -> dict[int, float]:
        """The items whose picture is nearly that of an earlier item, with scores."""
        first = sa.func.min(picture_hashes.c.item_id)
        query = sa.select(picture_hashes.c.hash, first).where(picture_hashes.c.run_id == run_id)
        hashes, firsts = array("q"), array("q")
        with self._database.reading() as connection:
            # With the earlier first.
            for one, item_id in connection.execute(query.group_by(picture_hashes.c.hash).order_by(first)):
                hashes.append(one)
                firsts.append(item_id)
        later: dict[int, float] = {}
        for _, place, bits in near_pictures(hashes):
            later[hashes[place]] = max(later.get(hashes[place], 0.0), 1 - bits * _LESS)
        found: dict[int, float] = {}
        for some in _slices(sorted(later), _WRITTEN):
            wanted = sa.select(picture_hashes.c.item_id, picture_hashes.c.hash)
            wanted = wanted.where(picture_hashes.c.run_id == run_id, picture_hashes.c.hash.in_(some))
            with self._database.reading() as connection:
                found |= {item_id: later[one] for item_id, one in connection.execute(wanted)}
        return found

    def _write(
        self, run_id: RunId, flag: Flag, wanted: Mapping[int, float], which: sa.ColumnElement[bool]
    ) -> tuple[int, int]:
        """Write what is missing of one flag and delete what is too much; returns how much of each."""
        own = flags.c.run_id == run_id, flags.c.flag == flag
        with self._database.reading() as connection:
            held = dict(connection.execute(sa.select(flags.c.item_id, which).where(*own)).all())
        missing = sorted(wanted.keys() - held.keys())
        too_much = sorted(item_id for item_id, mine in held.items() if mine and item_id not in wanted)
        added = removed = 0
        for some in _slices(missing, _WRITTEN):
            rows = [flag_row(ItemId(one), run_id, Finding(flag, wanted[one])) for one in some]
            added += self._insert(rows, some)
        for some in _slices(too_much, _WRITTEN):
            with self._database.writing() as connection:
                gone = take_out_flags(connection, sa.and_(*own, which, flags.c.item_id.in_(some)))
                count_flags(self._database, connection, gone)
            removed -= gone.total()
            self._database.give_way()
        return added, removed

    def _insert(self, rows: Sequence[dict[str, object]], item_ids: Sequence[int]) -> int:
        """Insert flags of items that still have a result."""
        query = sa.select(results.c.item_id).where(results.c.item_id.in_(item_ids)).order_by(results.c.item_id)
        with self._database.writing() as connection:
            # They are locked, or else somebody takes them back unseen.
            there = set(connection.scalars(query.with_for_update(read=True, key_share=True)))
            new = insert_flags(self._database, connection, [row for row in rows if row["item_id"] in there])
            count_flags(self._database, connection, new)
        self._database.give_way()
        return new.total()


class _Answers:
    """The answers of a run as numbers: for each item its question and its answer, the same for the same words."""

    def __init__(self, database: Database, run_id: RunId) -> None:
        self._database = database
        self._questions: dict[str, int] = {}
        self._item_ids, self._asked, self._told = array("q"), array("i"), array("q")
        self._spreads: defaultdict[int, Counter[int]] = defaultdict(Counter)
        alike = NearAnswers()
        self._read(run_id, alike)
        self._firsts = alike.firsts()
        #: How many different answers are nearly the same as an earlier one.
        self.near = len(self._firsts)
        for spread in self._spreads.values():
            for key in spread.keys() & self._firsts.keys():
                spread[self._firsts[key]] += spread.pop(key)

    def stock(self) -> dict[int, dict[int, float]]:
        """The stock answers by question, with scores."""
        found = stock_answers(self._spreads)
        often = {
            key for key, (answer, tag) in self._examples(found).items() if may_be_often(normal_answer(answer, tag))
        }
        return {
            question: {key: score for key, score in answers.items() if key not in often}
            for question, answers in found.items()
        }

    def items_with(self, stock: Mapping[int, Mapping[int, float]]) -> dict[int, float]:
        """The items that have one of these answers, with scores."""
        rows = zip(self._item_ids, self._asked, self._told, strict=True)
        found: dict[int, float] = {}
        for item_id, question, told in rows:
            if question in stock and (score := stock[question].get(self._firsts.get(told, told))):
                found[item_id] = score
        return found

    def described(self, stock: Mapping[int, Mapping[int, float]]) -> tuple[StockAnswer, ...]:
        """The same for people."""
        questions = {number: question for question, number in self._questions.items()}
        examples = self._examples(stock)
        many = Counter(zip(self._asked, (self._firsts.get(told, told) for told in self._told), strict=True))
        found = [
            StockAnswer(questions[question], examples[key][0], many[question, key], score)
            for question, answers in stock.items()
            for key, score in answers.items()
        ]
        return tuple(sorted(found, key=lambda one: (-one.items, one.question, one.answer)))

    def _read(self, run_id: RunId, alike: NearAnswers) -> None:
        seen = flags.alias("seen")
        query = (
            sa.select(items.c.id, items.c.question, items.c.tag, results.c.answer, seen.c.item_id.is_(None))
            .join(results, results.c.item_id == items.c.id)
            .outerjoin(seen, sa.and_(seen.c.item_id == items.c.id, seen.c.flag == Flag.SEEN_BEFORE))
            .where(results.c.answer.is_not(None))
            .order_by(items.c.id)
            .limit(_READ)
        )
        known = set[int]()
        after, end = run_id * MAX_ITEMS - 1, (run_id + 1) * MAX_ITEMS
        while True:
            with self._database.reading() as connection:
                rows = connection.execute(query.where(items.c.id > after, items.c.id < end)).all()
            for item_id, question, tag, answer, is_new_picture in rows:
                template = question.replace(tag, TAG_FIELD) if tag else question
                normal = normal_answer(answer, tag)
                asked, told = self._questions.setdefault(template, len(self._questions)), hash(normal)
                self._item_ids.append(item_id)
                self._asked.append(asked)
                self._told.append(told)
                self._spreads[asked][told] += is_new_picture
                if told not in known:
                    known.add(told)
                    alike.add(told, normal)
            if len(rows) < _READ:
                return
            after = rows[-1][0]

    def _examples(self, stock: Mapping[int, Mapping[int, float]]) -> dict[int, tuple[str, str]]:
        """By key, an answer as it was given, and its tag."""
        wanted = {key for answers in stock.values() for key in answers}
        found: dict[int, int] = {}
        for item_id, told in zip(self._item_ids, self._told, strict=True):
            key = self._firsts.get(told, told)
            if key in wanted:
                found.setdefault(key, item_id)
        texts: dict[int, tuple[str, str]] = {}
        query = sa.select(items.c.id, results.c.answer, items.c.tag).join(results, results.c.item_id == items.c.id)
        for some in _slices(sorted(set(found.values())), _WRITTEN):
            with self._database.reading() as connection:
                rows = connection.execute(query.where(items.c.id.in_(some)))
                texts |= {item_id: (answer or "", tag) for item_id, answer, tag in rows}
        return {key: texts.get(item_id, ("", "")) for key, item_id in found.items()}


def _slices(item_ids: list[int], size: int) -> list[list[int]]:
    return [item_ids[at : at + size] for at in range(0, len(item_ids), size)]
