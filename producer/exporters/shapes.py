"""Shapes: the form of an exported record, either the record of the input or a dialogue for training."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, cast

from persqa.conversations import SYSTEM, rewrite_conversation, system_of
from persqa.errors import InputError
from persqa.image_cells import reference_in
from persqa.prompts import human_turn
from persqa.results import Status
from persqa.tags import Tag
from persqa.words import option
from producer.exporters.paths import UNCHANGED, each_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pydantic import JsonValue

    from persqa.pairs import Broken, PairRow

#: The name of the field that `--with-meta` adds.
META = "persqa"
#: The name of the field with the images of a dialogue.
CHAT_IMAGE = "image"
#: Marks the place of an image for a trainer.
PLACEHOLDER = "<image>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """An item with its result, and its generations that broke the tag rule if they are asked for, oldest first."""

    row: PairRow
    broken: Sequence[Broken] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The form of the exported records; the first three options are those of `RunHandle.export`.

    Attributes:
        image_column: the field with the images.
        id_column: the field that names a record, if any.
        place: what becomes of each reference in that field.
    """

    output_key: str = "output"
    with_meta: bool = False
    chat: bool = False
    image_column: str = "image"
    id_column: str | None = None
    place: Callable[[str], str] = UNCHANGED

    def records(self, pairs: Iterable[Pair]) -> Iterator[dict[str, JsonValue]]:
        """The records in their order.

        Raises:
            InputError: a record already has the field for the answer or for `with_meta`.
        """
        return self._dialogues(pairs) if self.chat else (self._as_given(pair) for pair in pairs)

    def _as_given(self, pair: Pair) -> dict[str, JsonValue]:
        record = exported_record(pair.row, self.output_key, image_column=self.image_column, place=self.place)
        if self.with_meta:
            if META in record:
                own = f"record {pair.row.position + 1} has a field {META!r} itself"
                raise InputError(f"{own}: leave out {option('with_meta')}")
            record[META] = meta(pair)
        return record

    def _dialogues(self, pairs: Iterable[Pair]) -> Iterator[dict[str, JsonValue]]:
        answered = (pair for pair in pairs if pair.row.answer is not None)
        for position, group in groupby(answered, key=lambda pair: pair.row.position):
            yield self._dialogue(position, list(group))

    def _dialogue(self, position: int, pairs: Sequence[Pair]) -> dict[str, JsonValue]:
        """All questions about one record as one dialogue, with the images in the first."""
        given = pairs[0].row.record
        images = each_reference(given.get(self.image_column), self.place)
        given_ones = images if isinstance(images, list) else [images]
        references: list[JsonValue] = [found for found in map(reference_in, given_ones) if found is not None]
        named = given.get(self.id_column or "id")
        system = system_of(given)
        turns: list[JsonValue] = [{"from": SYSTEM, "value": system}] if system else []
        before = f"{PLACEHOLDER}\n" * len(references)
        for pair in pairs:
            turns.append({"from": "human", "value": before + pair.row.question})
            turns.append({"from": "gpt", "value": pair.row.answer})
            before = ""
        dialogue: dict[str, JsonValue] = {"id": str(position) if named is None else _text(named)}
        if references:
            dialogue[CHAT_IMAGE] = references[0] if len(references) == 1 else references
        dialogue["conversations"] = turns
        return {**dialogue, META: [meta(pair) for pair in pairs]} if self.with_meta else dialogue


def exported_record(
    row: PairRow, output_key: str, *, image_column: str = "image", place: Callable[[str], str] = UNCHANGED
) -> dict[str, JsonValue]:
    """The record as given, with the prompt in its conversation and the answer under `output_key`.

    A record that is no object is the field `record`, so the output has every record of the input. `place` says what
    becomes of each reference in the image column.

    Raises:
        InputError: the record already has a field of that name.
    """
    given = row.record
    if output_key in given:
        own = f"record {row.position + 1} has a field {output_key!r} itself"
        raise InputError(f"{own}: choose another {option('output_key')}")
    if image_column in given:
        given = {**given, image_column: each_reference(given[image_column], place)}
    if not row.question:
        return {**given, output_key: None}
    conversation = cast("list[JsonValue] | None", given.get("conversation"))
    prompt = human_turn(Tag(row.tag), row.question)
    return {**given, "conversation": rewrite_conversation(conversation, prompt), output_key: row.answer}


def meta(pair: Pair) -> dict[str, JsonValue]:
    """The origin of an answer; every record has all of these fields."""
    row = pair.row
    return {
        "question": row.question or None,
        "topic": row.topic or None,
        "tag": row.tag or None,
        "status": row.status,
        "reason": row.reason,
        "detail": row.detail,
        "verdict": _verdict(row),
        "violations": [{"rung": broken.rung, "kind": broken.kind} for broken in pair.broken],
        "rung": row.rung,
        "forced": row.forced,
        "generations": row.generations,
        "model": row.model,
        "prompt_tokens": row.prompt_tokens,
        "output_tokens": row.output_tokens,
    }


def _verdict(row: PairRow) -> str | None:
    """The verdict of the tag rule: `compliant` or the kind of violation; None where the rule did not apply."""
    if row.answer is None or not row.tag:
        return None
    return "compliant" if row.status == Status.OK else row.reason


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value)
