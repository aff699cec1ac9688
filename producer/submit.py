"""Submitting: input -> records -> items -> ledger -> queue, one chunk at a time.

The ledger is complete before the first message goes out, and messages are made from the ledger. So a submit that was
stopped half-way goes on when it is repeated.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from persqa.blobs import BlobStore, blob_reference
from persqa.controls import refuse_stopped, set_priority
from persqa.data_uris import decode_data_uri, is_data_uri
from persqa.errors import InputError, RecordError
from persqa.items import Item, item_id
from persqa.questions import Question, load_pool
from persqa.records import RawRecord, Record, parse_record, record_key
from persqa.results import Result, Status
from persqa.runs import RunState, check_run_name
from persqa.tags import Tag, parse_tag
from producer.options import parse_submit_options
from producer.readers import open_input, part_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import Unpack

    from persqa.questions import QuestionPool
    from persqa.runs import Run, RunOptions
    from persqa.settings import Settings
    from persqa.store import Store
    from producer.connections import Connections
    from producer.options import GivenSubmitOptions
    from producer.readers.base import Reader

#: Items in one transaction, and bytes of their records.
_WRITTEN = 5000
_WRITTEN_BYTES = 32 * 2**20
#: How many wrong records a message shows.
_SHOWN = 5

#: An item, with its result if its record is wrong.
_Draft: TypeAlias = tuple[Item, Result | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Survey:
    """The findings of the first reading, before anything is written.

    Attributes:
        fingerprint: digest of all records in order.
        records: number of records, wrong ones included.
        errors: errors of the first few wrong records.
        invalid: number of wrong records.
    """

    fingerprint: str
    records: int
    errors: tuple[RecordError, ...]
    invalid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What a submit did.

    Attributes:
        enqueued: number of items put into the queue.
        invalid: number of wrong records; they are stored as `invalid` and not enqueued.
        first_errors: a sentence for each of the first few.
    """

    enqueued: int
    invalid: int
    first_errors: tuple[str, ...]


def submit(
    connections: Connections,
    data: str | Path | Iterable[Mapping[str, object]],
    *,
    on_full: Callable[[], None],
    **given: Unpack[GivenSubmitOptions],
) -> tuple[Run, Submission]:
    """Submit a data set, as `Client.submit` describes."""
    settings, store = connections.settings, connections.store
    options = parse_submit_options(settings.model, **given)
    asked = options.asked
    whole = open_input(
        data,
        blobs=BlobStore(settings.blob_store),
        input_format=options.input_format,
        split=options.split,
        columns=asked.columns,
        limit=asked.limit,
    )
    reader = part_of(whole, limit=asked.limit, sample=asked.sample, seed=asked.seed)
    name = check_run_name(options.run or reader.name)
    pool = load_pool(asked.pool)
    pool.draw(asked.questions_per_image, seed=0, key="")  # Refuses a pool that is too small.
    found = _survey(reader, asked, settings=settings)
    if options.strict:
        _refuse_wrong_records(found)
    run = store.runs.create(
        name,
        options=asked,
        pool_digest=pool.digest,
        fingerprint=found.fingerprint,
        base=str(reader.base),
        item_count=(found.records - found.invalid) * asked.questions_per_image + found.invalid,
    )
    if run.state is RunState.CANCELLED:
        refuse_stopped(run)
    if store.queries.progress(run.id).submitted < run.items:
        _write_ledger(store, reader, run, pool, settings=settings)
    if options.recheck:
        run = store.runs.set_recheck(run, True)
    if options.priority is not None and options.priority is not run.priority:
        run, _moved = set_priority(store, run, options.priority, connections.broker_url)
    enqueued = connections.enqueue(run, on_full=on_full)
    errors = tuple(str(error) for error in found.errors)
    return run, Submission(enqueued=enqueued, invalid=found.invalid, first_errors=errors)


def _survey(reader: Reader, options: RunOptions, *, settings: Settings) -> _Survey:
    """Read the whole input once; an empty one is an error."""
    digest = hashlib.blake2b(digest_size=16)
    errors: list[RecordError] = []
    records = invalid = 0
    for raw in reader:
        records += 1
        digest.update(raw.json.encode() + b"\n")
        try:
            _parse(raw, options, settings)
        except RecordError as error:
            invalid += 1
            errors = [*errors, error][:_SHOWN]
    if not records:
        raise InputError("the input has no record")
    return _Survey(fingerprint=digest.hexdigest(), records=records, errors=tuple(errors), invalid=invalid)


def _refuse_wrong_records(found: _Survey) -> None:
    """Apply `--strict`."""
    if found.invalid:
        shown = "\n  ".join(str(error) for error in found.errors)
        more = f"\n  and {found.invalid - len(found.errors)} more" if found.invalid > len(found.errors) else ""
        raise InputError(f"{found.invalid} of {found.records} records are wrong:\n  {shown}{more}")


def _write_ledger(store: Store, reader: Reader, run: Run, pool: QuestionPool, *, settings: Settings) -> None:
    """Write the items of all records, and the results of wrong ones; existing rows stay."""
    for chunk in _chunks(_drafts(reader, run, pool, settings)):
        store.ledger.add([item for item, _ in chunk], [result for _, result in chunk if result is not None])


def _chunks(drafts: Iterator[_Draft]) -> Iterator[list[_Draft]]:
    """The items of one transaction each, limited in number and in bytes."""
    chunk: list[_Draft] = []
    size = 0
    for draft in drafts:
        chunk.append(draft)
        size += len(draft[0].record)
        if len(chunk) == _WRITTEN or size >= _WRITTEN_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _with_blobs(record: Record, blobs: BlobStore, settings: Settings) -> Record:
    """The record with its image bytes in the blob store, and their digests as references."""
    if not any(map(is_data_uri, record.images)):
        return record
    most = settings.max_image_bytes
    images = tuple(
        blob_reference(blobs.put(decode_data_uri(given, max_bytes=most))) if is_data_uri(given) else given
        for given in record.images
    )
    return replace(record, images=images)


def _parse(raw: RawRecord, options: RunOptions, settings: Settings) -> Record:
    return parse_record(
        raw,
        max_images=settings.max_images,
        max_image_bytes=settings.max_image_bytes,
        columns=options.columns,
        image_optional=options.image_optional,
        verbatim=options.verbatim,
    )


def _drafts(reader: Reader, run: Run, pool: QuestionPool, settings: Settings) -> Iterator[_Draft]:
    blobs = BlobStore(settings.blob_store)
    for position, raw in enumerate(reader):
        first = Item(
            id=item_id(run.id, position * run.options.questions_per_image),
            run_id=run.id,
            position=position,
            slot=0,
            record=raw.json,
            images=(),
            tag=Tag(""),
            topic="",
            question="",
        )
        try:
            record = _with_blobs(_parse(raw, run.options, settings), blobs, settings)
        except RecordError as error:
            reason, detail = error.reason, str(error)
            wrong = Result(item_id=first.id, run_id=run.id, status=Status.INVALID, reason=reason, detail=detail)
            yield first, wrong
        else:
            for item in _items(first, record, run, pool):
                yield item, None


def _items(first: Item, record: Record, run: Run, pool: QuestionPool) -> Iterator[Item]:
    """One item for each question of the record, made from the first one without its question."""
    asked = run.options
    if asked.verbatim:
        tag, questions = Tag(""), (Question(topic="", template=record.prompt),)
    else:
        tag = record.tag or parse_tag(asked.tag)
        questions = pool.draw(asked.questions_per_image, seed=asked.seed, key=record_key(first.record))
    for slot, question in enumerate(questions):
        yield replace(
            first,
            id=item_id(run.id, first.position * asked.questions_per_image + slot),
            slot=slot,
            images=record.images,
            tag=tag,
            topic=question.topic,
            question=question.ask(tag) if tag else question.template,
        )
