"""Shapes: the form of an exported record, either the record of the input or a dialogue."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from persqa.conversations import rewrite_conversation
from persqa.errors import InputError
from persqa.prompts import human_turn
from persqa.results import Status
from persqa.tags import Tag
from persqa.verdicts import judge_text
from persqa.words import option
from producer.exporters.dialogues import Dialogues, Pair
from producer.exporters.left import nobody
from producer.exporters.paths import UNCHANGED, each_reference
from producer.exporters.trainers import form_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pydantic import JsonValue

    from persqa.pairs import PairRow
    from producer.exporters.left import OnLeft

#: The name of the field that `--with-meta` adds.
META = "persqa"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The form of the exported records; the first three options are those of `RunHandle.export`.

    Attributes:
        folder: where dialogues are put aside until it is known whether one has several images.
        image_column: the field with the images.
        id_column: the field that names a record, if any.
        place: what becomes of each reference in that field.
        on_left: called for what dialogues leave out.
    """

    output_key: str = "output"
    with_meta: bool = False
    chat: bool | str = False
    folder: Path = Path()
    image_column: str = "image"
    id_column: str | None = None
    place: Callable[[str], str] = UNCHANGED
    on_left: OnLeft = nobody

    def records(self, pairs: Iterable[Pair]) -> Iterator[dict[str, JsonValue]]:
        """The records in their order.

        Raises:
            InputError: a record already has the field for the answer or for `with_meta`.
            SettingsError: there is no such trainer.
        """
        form = form_for(self.chat)
        if form is None:
            return (self._as_given(pair) for pair in pairs)
        dialogues = Dialogues(
            form=form,
            folder=self.folder,
            image_column=self.image_column,
            id_column=self.id_column,
            place=self.place,
            on_left=self.on_left,
            meta=(META, meta) if self.with_meta else None,
        )
        return dialogues.records(pairs)

    def _as_given(self, pair: Pair) -> dict[str, JsonValue]:
        record = exported_record(pair.row, self.output_key, image_column=self.image_column, place=self.place)
        if pair.is_edited:
            record[self.output_key] = pair.answer
        if self.with_meta:
            if META in record:
                own = f"record {pair.row.position + 1} has a field {META!r} itself"
                raise InputError(f"{own}: leave out {option('with_meta')}")
            record[META] = meta(pair)
        return record


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
        "verdict": _verdict(pair),
        "violations": [{"rung": broken.rung, "kind": broken.kind} for broken in pair.broken],
        "rung": row.rung,
        "forced": row.forced,
        "generations": row.generations,
        "model": row.model,
        "prompt_tokens": row.prompt_tokens,
        "output_tokens": row.output_tokens,
        "review": row.review,
        "starred": row.starred,
        "note": row.note or None,
        "reviewer": row.reviewer,
        "model_answer": row.answer if pair.is_edited else None,
        "flags": [found.flag for found in row.flags],
        "logprob_mean": row.logprob_mean,
        "logprob_min": row.logprob_min,
        "logprob_min_token": row.logprob_min_token,
    }


def _verdict(pair: Pair) -> str | None:
    """The verdict of the tag rule: `compliant` or the kind of violation; None where the rule did not apply."""
    row = pair.row
    if pair.answer is None or not row.tag:
        return None
    if pair.is_edited:
        return judge_text(pair.answer, tag=Tag(row.tag), question=row.question) or "compliant"
    return "compliant" if row.status == Status.OK else row.reason
