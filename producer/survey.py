"""The survey: an input is read once, checked and put aside, before anything is written.

Nothing gets into the ledger that the survey has not found, so all that write one run write the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, TypeAlias

from persqa.blobs import parse_blob_reference
from persqa.errors import InputError, RecordError
from persqa.items import Item
from persqa.reasons import Reason
from persqa.records import Record
from persqa.urls import is_relative_path
from producer.checked import CheckedRecords
from producer.columns import Wanted
from producer.readers.passed import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persqa.records import RawRecord
    from persqa.results import Result
    from persqa.runs import RunId
    from producer.checked import CheckedRecord
    from producer.itemizing import Itemizer
    from producer.readers.base import Edition, Reader
    from producer.readers.passed import PassedOver

#: Items in one transaction, and bytes of their records.
_WRITTEN = 5000
_WRITTEN_BYTES = 32 * 2**20
#: How many wrong records a message shows.
_SHOWN = 5

#: The items of one transaction, and the results of those whose records are wrong.
Draft: TypeAlias = "tuple[list[Item], list[Result]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What an input has.

    Attributes:
        fingerprint: digest of all records in order.
        checked: all records, wrong ones included.
        edition: that of the input, before it was read.
        records: number of records, wrong ones included.
        errors: errors of the first few wrong records.
        invalid: number of wrong records.
        passed_over: what the input has beside its records.
        has_relative_paths: whether an image path means another file in another folder.
        has_blobs: whether an image is in the blob store.
    """

    fingerprint: str
    checked: CheckedRecords
    edition: Edition
    records: int
    errors: tuple[RecordError, ...]
    invalid: int
    passed_over: tuple[PassedOver, ...]
    has_relative_paths: bool
    has_blobs: bool


class _Findings:
    """What the records that were read so far come to."""

    def __init__(self, itemizer: Itemizer) -> None:
        self._itemizer = itemizer
        self._questions = itemizer.options.questions_per_image
        self._digest = hashlib.blake2b(digest_size=16)
        self._chunk: list[CheckedRecord] = []
        self._texts: list[str] = []
        self._bytes = 0
        self.checked = CheckedRecords()
        self.records = self.invalid = 0
        self.errors: list[RecordError] = []
        self.relative = self.blobs = False

    def take(self, raw: RawRecord) -> None:
        """Take the next record."""
        text = raw.json
        self.records += 1
        try:
            record = self._itemizer.parse(raw)
        except RecordError as error:
            self._take_wrong(error, text)
        else:
            self._chunk.append((text, record.images, record.tag, record.prompt))
            self._look(record.images)
        # Two wrong records may have the same JSON, or a wrong one and a usable one.
        self._texts.append(text if raw.error is None else f"{text}{raw.error.reason}")
        self._bytes += len(text)
        if len(self._chunk) * self._questions >= _WRITTEN or self._bytes * self._questions >= _WRITTEN_BYTES:
            self._put()

    def _take_wrong(self, error: RecordError, text: str) -> None:
        self.invalid += 1
        self.errors = [*self.errors, error][:_SHOWN]
        self._chunk.append((text, error.reason.value, str(error)))

    def _look(self, images: tuple[str, ...]) -> None:
        self.relative = self.relative or any(map(is_relative_path, images))
        self.blobs = self.blobs or any(map(parse_blob_reference, images))

    def _put(self) -> None:
        if self._chunk:
            self._texts.append("")
            self._digest.update("\n".join(self._texts).encode())
            self.checked.put(self._chunk)
        self._chunk, self._texts, self._bytes = [], [], 0

    def end(self) -> str:
        """End the last transaction; returns the digest of all records."""
        self._put()
        self.checked.end()
        return self._digest.hexdigest()


def survey(reader: Reader, itemizer: Itemizer, shown: str) -> Survey:
    """Read the whole input; image bytes inside it go into the blob store.

    Args:
        reader: of the input.
        itemizer: of the run.
        shown: the input, as messages name it.

    Raises:
        InputError: it cannot be read, changes meanwhile, has no record, or lacks a column that the run names; or there
            is no room to put its records aside.
        BlobsUnavailable: image bytes cannot be stored.
    """
    wanted = Wanted(itemizer.options, shown=shown)
    # Before the first row is read, since the bytes of images inside it would be stored.
    if (fields := reader.fields()) is not None:
        wanted.check(fields)
    edition = reader.edition()
    found = _Findings(itemizer)
    for raw in reader:
        wanted.look(raw.value)
        found.take(raw)
    fingerprint = found.end()
    passed_over = tuple(reader.passed)
    if not found.records:
        beside = f"; passed over: {in_words(passed_over)}" if passed_over else ""
        raise InputError(f"{shown} has no record{beside}")
    wanted.check()
    surveyed = Survey(
        fingerprint=fingerprint,
        checked=found.checked,
        edition=edition,
        records=found.records,
        errors=tuple(found.errors),
        invalid=found.invalid,
        passed_over=passed_over,
        has_relative_paths=found.relative,
        has_blobs=found.blobs,
    )
    _refuse_change(reader, surveyed)
    return surveyed


def drafts(reader: Reader, run_id: RunId, itemizer: Itemizer, found: Survey) -> Iterator[Draft]:
    """Give the items of one transaction after the other.

    Raises:
        InputError: the input has changed since it was surveyed, or what was put aside is gone.
    """
    written, positions = 0, count()
    for chunk in found.checked.chunks():
        items: list[Item] = []
        results: list[Result] = []
        for checked, position in zip(chunk, positions, strict=False):
            if len(checked) == 3:
                text, reason, detail = checked
                item, result = itemizer.wrong(run_id, position, text, Reason(reason), detail)
                items.append(item)
                results.append(result)
            else:
                text, images, tag, prompt = checked
                items += itemizer.items(run_id, position, text, Record(images=images, tag=tag, prompt=prompt))
        written += len(chunk)
        # The ledger is complete with the last record.
        if written == found.records:
            _refuse_change(reader, found)
        yield items, results


def _refuse_change(reader: Reader, found: Survey) -> None:
    if reader.edition() != found.edition:
        raise InputError("the input has changed while it was read, so nothing was enqueued; submit it again")
