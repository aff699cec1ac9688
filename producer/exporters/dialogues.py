"""Dialogues: all answered questions about one record, in the form that a trainer reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, cast

from persqa.conversations import SYSTEM, system_of
from persqa.image_cells import reference_in
from persqa.placeholders import placeholder_in
from producer.exporters.left import Left, LeftOut, nobody
from producer.exporters.paths import UNCHANGED, each_reference
from producer.exporters.spool import leveled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from pydantic import JsonValue

    from persqa.pairs import Broken, PairRow
    from producer.exporters.left import OnLeft
    from producer.exporters.trainers import Form


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """An item with its result.

    Attributes:
        row: the item.
        broken: its generations that broke the tag rule, if they are asked for, the oldest first.
        reviewed: whether an answer that a person wrote takes the place of the model's.
    """

    row: PairRow
    broken: Sequence[Broken] = ()
    reviewed: bool = False

    @property
    def is_edited(self) -> bool:
        """Whether the answer is a person's; nothing was asked about a wrong record, so nothing answers it."""
        return self.reviewed and self.row.edited_answer is not None and bool(self.row.question)

    @property
    def answer(self) -> str | None:
        """The answer to write."""
        return self.row.edited_answer if self.is_edited else self.row.answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogues:
    """Makes dialogues of pairs.

    Attributes:
        form: that of the trainer.
        image_column: the field of a record with its images.
        id_column: the field that names a record, if any.
        folder: where dialogues are put aside until it is known whether one has several images.
        place: what becomes of each reference; raises LeftOut if the image cannot be had.
        on_left: called for each dialogue and answer that is left out.
        meta: makes the origin of an answer, where that is asked for.
    """

    form: Form
    folder: Path
    image_column: str = "image"
    id_column: str | None = None
    place: Callable[[str], str] = UNCHANGED
    on_left: OnLeft = nobody
    meta: tuple[str, Callable[[Pair], JsonValue]] | None = None

    def records(self, pairs: Iterable[Pair]) -> Iterator[dict[str, JsonValue]]:
        """The dialogues in the order of their records; images are lists in all of them or in none."""
        found = self._records(pairs)
        return found if self.form.always_list else leveled(found, self.form.images, self.folder)

    def _records(self, pairs: Iterable[Pair]) -> Iterator[dict[str, JsonValue]]:
        for position, group in groupby(pairs, key=lambda pair: pair.row.position):
            answered = [pair for pair in group if pair.answer is not None]
            system = system_of(answered[0].row.record) if answered else ""
            good = [pair for pair in answered if self._is_text(pair, system)]
            if not good:
                continue
            try:
                yield self._dialogue(position, system, good)
            except LeftOut as out:
                self.on_left(out.left)

    def _dialogue(self, position: int, system: str, pairs: Sequence[Pair]) -> dict[str, JsonValue]:
        form = self.form
        record = pairs[0].row.record
        placed = each_reference(record.get(self.image_column), self.place)
        parts = map(reference_in, placed if isinstance(placed, list) else [placed])
        images: list[JsonValue] = [part for part in parts if part is not None]
        named = record.get(self.id_column or "id")
        turns = [self._turn(SYSTEM, system)] if system and form.system else []
        before = form.placeholder * len(images)
        for pair in pairs:
            turns.append(self._turn(form.human, before + pair.row.question))
            turns.append(self._turn(form.model, cast("str", pair.answer)))
            before = ""
        dialogue: dict[str, JsonValue] = {"id": str(position) if named is None else _text(named)}
        if images or form.always_list:
            dialogue[form.images] = images
        dialogue[form.turns] = turns
        if self.meta is not None:
            name, meta = self.meta
            dialogue[name] = [meta(pair) for pair in pairs]
        return dialogue

    def _turn(self, speaker: str, text: str) -> JsonValue:
        return {self.form.speaker: speaker, self.form.text: text}

    def _is_text(self, pair: Pair, system: str) -> bool:
        """Whether no part of it is taken for anything else; trainers count placeholders, and stop at one too many."""
        row = pair.row
        texts = {"system turn": system if self.form.system else "", "question": row.question, "answer": pair.answer}
        for part, text in texts.items():
            if placeholder := placeholder_in(text or ""):
                why = f"record {row.position + 1}: {placeholder} in its {part}, which trainers do not take for text"
                self.on_left(Left(reference="", why=why, dropped=True))
                return False
        return True


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value)
