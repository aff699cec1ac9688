"""The two readings of an input: the first finds what is there, the second must find the same.

Nothing is written to the ledger that the first reading has not seen, so all that write one run write the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from persqa.blobs import parse_blob_reference
from persqa.errors import InputError, RecordError
from persqa.items import Item
from persqa.results import Result, Status
from persqa.urls import is_relative_path
from producer.columns import Wanted
from producer.readers.passed import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persqa.records import RawRecord
    from persqa.runs import RunId
    from producer.itemizing import Itemizer
    from producer.readers.base import Reader
    from producer.readers.passed import PassedOver

#: Items in one transaction, and bytes of their records.
_WRITTEN = 5000
_WRITTEN_BYTES = 32 * 2**20
#: How many wrong records a message shows.
_SHOWN = 5

#: An item, with its result if its record is wrong.
Draft: TypeAlias = tuple[Item, Result | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The findings of the first reading, before anything is written.

    Attributes:
        fingerprint: digest of all records in order.
        digests: digests of all records up to the end of each transaction, the last one included.
        records: number of records, wrong ones included.
        errors: errors of the first few wrong records.
        invalid: number of wrong records.
        passed_over: what the input has beside its records.
        has_relative_paths: whether an image path means another file in another folder.
        has_blobs: whether an image is in the blob store.
    """

    fingerprint: str
    digests: tuple[bytes, ...]
    records: int
    errors: tuple[RecordError, ...]
    invalid: int
    passed_over: tuple[PassedOver, ...]
    has_relative_paths: bool
    has_blobs: bool


class _Reading:
    """How far a reading is; both end their transactions at the same records."""

    def __init__(self, itemizer: Itemizer) -> None:
        self._digest = hashlib.blake2b(digest_size=16)
        self._questions = itemizer.options.questions_per_image
        self._items = self._bytes = 0

    def take(self, raw: RawRecord, text: str) -> bool:
        """Take the next record, with its JSON; returns whether a transaction ends with it."""
        # Two wrong records may have the same JSON, or a wrong one and a usable one.
        reason = "" if raw.error is None else raw.error.reason
        self._digest.update(f"{text}{reason}\n".encode())
        self._items += self._questions
        self._bytes += self._questions * len(text)
        if self._items < _WRITTEN and self._bytes < _WRITTEN_BYTES:
            return False
        self._items = self._bytes = 0
        return True

    def digest(self) -> bytes:
        """Of all records taken so far."""
        return self._digest.digest()


def survey(reader: Reader, itemizer: Itemizer, shown: str) -> Survey:
    """Read the whole input once; image bytes inside it go into the blob store.

    Args:
        reader: of the input.
        itemizer: of the run.
        shown: the input, as messages name it.

    Raises:
        InputError: it cannot be read, has no record, or lacks a column that the run names.
        BlobsUnavailable: image bytes cannot be stored.
    """
    wanted = Wanted(itemizer.options, shown=shown)
    # Before the first row is read, since the bytes of images inside it would be stored.
    if (fields := reader.fields()) is not None:
        wanted.check(fields)
    reading = _Reading(itemizer)
    digests: list[bytes] = []
    errors: list[RecordError] = []
    records = invalid = 0
    relative = blobs = False
    for raw in reader:
        records += 1
        wanted.look(raw.value)
        if reading.take(raw, raw.json):
            digests.append(reading.digest())
        try:
            record = itemizer.parse(raw)
        except RecordError as error:
            invalid += 1
            errors = [*errors, error][:_SHOWN]
        else:
            relative = relative or any(map(is_relative_path, record.images))
            blobs = blobs or any(map(parse_blob_reference, record.images))
    passed_over = tuple(reader.passed)
    if not records:
        beside = f"; passed over: {in_words(passed_over)}" if passed_over else ""
        raise InputError(f"{shown} has no record{beside}")
    wanted.check()
    last = reading.digest()
    return Survey(
        fingerprint=last.hex(),
        digests=(*digests, last),
        records=records,
        errors=tuple(errors),
        invalid=invalid,
        passed_over=passed_over,
        has_relative_paths=relative,
        has_blobs=blobs,
    )


def drafts(reader: Reader, run_id: RunId, itemizer: Itemizer, found: Survey) -> Iterator[list[Draft]]:
    """Read the input again, and give the items of one transaction after the other.

    Raises:
        InputError: it cannot be read any more, or has changed; what was given before is as it was surveyed.
    """
    reading = _Reading(itemizer)
    expected = iter(found.digests)
    chunk: list[Draft] = []
    for position, raw in enumerate(reader):
        _refuse_change(position < found.records)
        text = raw.json
        ended = reading.take(raw, text)
        chunk += _drafts(itemizer, itemizer.first_item(run_id, position, text), raw)
        # The ledger is complete with the last record, so that one waits until it is known to be the last.
        if ended and position + 1 < found.records:
            _refuse_change(reading.digest() == next(expected))
            yield chunk
            chunk = []
    _refuse_change(reading.digest() == found.digests[-1])
    yield chunk


def _refuse_change(unchanged: bool) -> None:
    if not unchanged:
        raise InputError("the input has changed while it was read, so nothing was enqueued; submit it again")


def _drafts(itemizer: Itemizer, first: Item, raw: RawRecord) -> Iterator[Draft]:
    try:
        record = itemizer.parse(raw)
    except RecordError as error:
        reason, detail = error.reason, str(error)
        yield first, Result(item_id=first.id, run_id=first.run_id, status=Status.INVALID, reason=reason, detail=detail)
    else:
        for item in itemizer.items(first, record):
            yield item, None
