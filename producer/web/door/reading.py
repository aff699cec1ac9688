"""Reading: from the bytes of a body to records, by the readers that files have."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

from persqa.blobs import blob_reference
from persqa.complaints import not_json
from persqa.errors import RecordError
from persqa.reasons import Reason
from persqa.records import RawRecord
from producer.readers.files import BYTE_ORDER_MARK
from producer.readers.json_array import Elements
from producer.readers.json_lines import record_of
from producer.web.door.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic import JsonValue

    from persqa.blobs import BlobStore
    from persqa.records import RecordLimits
    from producer.web.door.bodies import Spool
    from producer.web.door.forms import Part

#: The field of a form that has a record as JSON.
RECORD_FIELD = "record"
_SPACE = b" \t\r\n"
_CHUNK = 64 * 2**10


def most_bytes(limits: RecordLimits) -> int:
    """The most bytes of one record: of a message, and of its images as base64."""
    return limits.max_message_bytes + limits.max_images * (limits.max_image_bytes + 2) // 3 * 4


def is_list(spool: Spool) -> bool:
    """Whether a JSON body is a list."""
    file = spool.open()
    start = file.read(_CHUNK).removeprefix(BYTE_ORDER_MARK).lstrip(_SPACE)
    while not start and (more := file.read(_CHUNK)):
        start = more.lstrip(_SPACE)
    return start.startswith(b"[")


def single(spool: Spool) -> RawRecord:
    """The record of a body that is one; raises a `Problem` where it is none."""
    try:
        value: JsonValue = json.loads(spool.whole().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Problem(400, "bad_json", f"the body: {not_json(error)}") from None
    if not isinstance(value, dict):
        raise Problem(400, "bad_json", "the body is neither an object, which is one record, nor a list of them")
    return RawRecord(place="the record", value=value)


def elements_of(spool: Spool) -> Iterator[RawRecord]:
    """The records of a body that is a list; raises a `Problem` where it is none."""
    file = io.TextIOWrapper(spool.open(), encoding="utf-8-sig")
    try:
        for number, value in enumerate(Elements(file), 1):
            yield RawRecord(place=f"record {number}", value=value)
    except (ValueError, RecursionError) as error:
        raise Problem(400, "bad_json", f"the body: {error}") from None
    finally:
        # It is the spool's to close.
        file.detach()


def records_of(spool: Spool, at: int) -> list[RawRecord]:
    """The records of some lines, the first of which is that after `at`; a broken one carries its error."""
    numbered = enumerate((line.removeprefix(BYTE_ORDER_MARK) for line in spool.open()), at + 1)
    return [record_of(line, f"line {number}") for number, line in numbered if line.strip()]


def record_of_form(parts: Sequence[Part], blobs: BlobStore) -> RawRecord:
    """The record of a form, with references to its files, which go into the blob store one at a time.

    Raises:
        Problem: a field is there twice, and no list of files; or the record in it is no object.
        BlobsUnavailable: a file cannot be stored.
    """
    fields: dict[str, JsonValue] = {}
    files: dict[str, list[JsonValue]] = {}
    for part in parts:
        if part.file is not None:
            files.setdefault(part.name, []).append(blob_reference(blobs.put(part.content.whole()), part.file))
        elif part.name == RECORD_FIELD:
            _put(fields, _object(part))
        else:
            _put(fields, {part.name: part.content.whole().decode("utf-8", "replace")})
    _put(fields, {name: of_name[0] if len(of_name) == 1 else of_name for name, of_name in files.items()})
    return RawRecord(place="the form", value=fields)


def _object(part: Part) -> dict[str, JsonValue]:
    record = record_of(part.content.whole(), RECORD_FIELD)
    if isinstance(record.value, dict):
        return record.value
    said = record.error or RecordError(Reason.NOT_AN_OBJECT, "it is no JSON object")
    raise Problem(400, "bad_form", f"the field {RECORD_FIELD!r}: {said}")


def _put(fields: dict[str, JsonValue], more: dict[str, JsonValue]) -> None:
    if twice := sorted(fields.keys() & more):
        raise Problem(400, "bad_form", f"the form has the field {twice[0]!r} twice")
    fields.update(more)
