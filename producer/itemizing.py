"""From a record to its items."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from persqa.blobs import blob_reference
from persqa.data_uris import decode_data_uri, is_data_uri
from persqa.errors import RecordError
from persqa.items import Item, item_id
from persqa.questions import Question
from persqa.reasons import Reason
from persqa.records import RecordLimits, parse_record, place_of, record_key
from persqa.results import Result, Status
from persqa.tags import Tag, parse_tag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persqa.blobs import BlobStore
    from persqa.questions import QuestionPool
    from persqa.records import RawRecord, Record
    from persqa.runs import RunId, RunOptions
    from persqa.settings import Settings

#: More than a message has beside what differs from run to run and from item to item.
_ENVELOPE_BYTES = 2048
#: In JSON: of a character beyond the first plane, and of what stands around a text in a list.
_CHARACTER_BYTES, _QUOTES = 12, 4
_LONGEST_TAG = Tag(f"<{33 * 'm'}>")


@dataclass(frozen=True, kw_only=True)
class Itemizer:
    """What decides the items of a run's records.

    Attributes:
        options: those of the run.
        pool: the questions.
        limits: those of the run.
        base: where relative image paths start; a part of every message.
        blobs: gets the bytes of images inside the records.
    """

    options: RunOptions
    pool: QuestionPool
    limits: RecordLimits
    base: str
    blobs: BlobStore

    def parse(self, raw: RawRecord) -> Record:
        """Check a record, and put its image bytes into the blob store; their digests become the references.

        Raises:
            RecordError: the record is wrong, or its message would be too large.
            BlobsUnavailable: the bytes cannot be stored.
        """
        record = parse_record(
            raw,
            max_images=self.limits.max_images,
            max_image_bytes=self.limits.max_image_bytes,
            columns=self.options.columns,
            image_optional=self.options.image_optional,
            verbatim=self.options.verbatim,
        )
        record = self._with_blobs(record)
        most = self.limits.max_message_bytes
        # Its exact size costs more than all other checks.
        if self._most_message_bytes(record) > most and (size := self._message_bytes(record)) > most:
            said = f"its message could have {size} bytes, {most} are allowed (PERSQA_MAX_MESSAGE_BYTES)"
            raise RecordError(Reason.OVERSIZED_MESSAGE, f"{place_of(raw, self.options.columns.id)}: {said}")
        return record

    def items(self, run_id: RunId, position: int, record_json: str, record: Record) -> Iterator[Item]:
        """One item for each question of a usable record."""
        asked = self.options
        if asked.verbatim:
            tag, questions = Tag(""), (Question(topic="", template=record.prompt),)
        else:
            tag = record.tag or self._tag
            questions = self.pool.draw(asked.questions_per_image, seed=asked.seed, key=record_key(record_json))
        first = position * asked.questions_per_image
        for slot, question in enumerate(questions):
            yield Item(
                id=item_id(run_id, first + slot),
                run_id=run_id,
                position=position,
                slot=slot,
                record=record_json,
                images=record.images,
                tag=tag,
                topic=question.topic,
                question=question.ask(tag) if tag else question.template,
            )

    def wrong(self, run_id: RunId, position: int, record_json: str, reason: Reason, detail: str) -> tuple[Item, Result]:
        """The only item of a wrong record, which has no question, and its result."""
        item = Item(
            id=item_id(run_id, position * self.options.questions_per_image),
            run_id=run_id,
            position=position,
            slot=0,
            record=record_json,
            images=(),
            tag=Tag(""),
            topic="",
            question="",
        )
        return item, Result(item_id=item.id, run_id=run_id, status=Status.INVALID, reason=reason, detail=detail)

    def _with_blobs(self, record: Record) -> Record:
        if not any(map(is_data_uri, record.images)):
            return record
        most = self.limits.max_image_bytes
        images = tuple(
            blob_reference(self.blobs.put(decode_data_uri(given, max_bytes=most))) if is_data_uri(given) else given
            for given in record.images
        )
        return record._replace(images=images)

    def _message_bytes(self, record: Record) -> int:
        """More bytes than the message of any item of the record will have."""
        asked = len(json.dumps(record.prompt)) if self.options.verbatim else self._question_bytes
        return _ENVELOPE_BYTES + self._common_bytes + _in_base64(len(json.dumps(record.images)) + asked)

    def _most_message_bytes(self, record: Record) -> int:
        """At least as many, found by counting characters."""
        images = record.images
        texts = len(images[0]) if len(images) == 1 else sum(map(len, images))
        inside = _CHARACTER_BYTES * (texts + len(record.prompt)) + _QUOTES * (len(images) + 1) + self._question_bytes
        return _ENVELOPE_BYTES + self._common_bytes + _in_base64(inside)

    @cached_property
    def _tag(self) -> Tag:
        return parse_tag(self.options.tag)

    @cached_property
    def _question_bytes(self) -> int:
        return max(len(json.dumps(question.ask(_LONGEST_TAG))) for question in self.pool.questions)

    @cached_property
    def _common_bytes(self) -> int:
        """Of what all messages of the run have: the place, the system prompt, the sampling, and the queue's name."""
        sampling = self.options.sampling.model_dump(mode="json", exclude_none=True)
        inside = json.dumps([self.base, self.options.system_prompt, sampling])
        return _in_base64(len(inside)) + len(json.dumps(self.options.model))


def limits_of(settings: Settings) -> RecordLimits:
    """What these settings allow of a record."""
    return RecordLimits(
        max_images=settings.max_images,
        max_image_bytes=settings.max_image_bytes,
        max_message_bytes=settings.max_message_bytes,
    )


def _in_base64(characters: int) -> int:
    return (characters + 2) // 3 * 4
