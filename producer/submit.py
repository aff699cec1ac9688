"""Submitting: input -> records -> items -> ledger -> queue, one chunk at a time.

The ledger is complete before the first message goes out, and messages are made from the ledger. So a submit that was
stopped half-way goes on when it is repeated.
"""

from __future__ import annotations

import os
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from persqa.blob_locks import Filling
from persqa.controls import refuse_stopped, remove_unanswered, set_priority
from persqa.errors import BrokerUnavailable, InputError, NoDatabase, RowRefused, RunConflict, SettingsError
from persqa.questions import load_pool
from persqa.runs import RunState, check_run_name
from persqa.urls import without_password
from persqa.words import counted, option
from producer.itemizing import Itemizer, limits_of
from producer.options import parse_submit_options
from producer.readers import input_path, open_input, part_of, records_of_whole
from producer.refusals import refuse_other_folder, refuse_wrong_records, source_of
from producer.survey import drafts, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Unpack

    from persqa.runs import Run
    from persqa.store import Store
    from persqa.store.reuse import Reuse
    from producer.connections import Connections
    from producer.options import GivenSubmitOptions, SubmitOptions
    from producer.readers.base import Reader
    from producer.readers.passed import PassedOver
    from producer.survey import Survey


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What a submit did.

    Attributes:
        records: number of records that were read.
        passed_over: what else the input has, by kind: files, members, links and rows that are no part of a record.
        enqueued: number of items put into the queue.
        invalid: number of wrong records; they are stored as `invalid` and not enqueued.
        first_errors: a sentence for each of the first few.
        replaced: whether it took the place of another run of this name, of which nothing was answered.
        reused: number of items that got an answer of the run to be reused; None where none is named.
        whole: number of records of the whole input, where a sample of them was drawn.
    """

    records: int
    passed_over: tuple[PassedOver, ...]
    enqueued: int
    invalid: int
    first_errors: tuple[str, ...]
    replaced: bool = False
    reused: int | None = None
    whole: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Created:
    """A run that is in the database, and what its ledger is written from."""

    run: Run
    found: Survey
    itemizer: Itemizer
    replaced: bool = False


def submit(
    connections: Connections,
    data: str | Path | Iterable[Mapping[str, object]],
    *,
    on_full: Callable[[], None],
    **given: Unpack[GivenSubmitOptions],
) -> tuple[Run, Submission]:
    """Submit a data set, as `Client.submit` describes."""
    database = without_password(connections.settings.database_url)
    ledger = connections.store.make_ledger
    with closing(Filling(connections.settings.blob_store, ledger=ledger, database=database)) as blobs:
        blobs.hold_what_is_there()
        return _submit(connections, data, blobs, on_full=on_full, **given)


def _submit(
    connections: Connections,
    data: str | Path | Iterable[Mapping[str, object]],
    blobs: Filling,
    *,
    on_full: Callable[[], None],
    **given: Unpack[GivenSubmitOptions],
) -> tuple[Run, Submission]:
    settings, store = connections.settings, connections.store
    options = parse_submit_options(settings.model, **given)
    asked = options.asked
    whole = open_input(
        data,
        blobs=blobs,
        input_format=options.input_format,
        split=options.split,
        columns=asked.columns,
        limit=asked.limit,
    )
    reader = part_of(whole, limit=asked.limit, sample=asked.sample, seed=asked.seed)
    # The folder first: where its name cannot be written, neither can a run be named after it.
    source = source_of(store, options, base=_base_of(options, reader), name=_name(options, reader))
    try:
        created = _create(connections, reader, options, blobs, shown=_shown(data))
    except RunConflict:
        if not _made_way(connections, _name(options, reader), _base_of(options, reader)):
            raise
        # Anew, since the limits of the run that is gone may have been others.
        created = replace(_create(connections, reader, options, blobs, shown=_shown(data)), replaced=True)
    run, found = created.run, created.found
    store.runs.remember_inputs(run, _files_of(data, asked.pool))
    if found.has_relative_paths:
        refuse_other_folder(run, _base_of(options, reader))
    if (progress := store.queries.progress(run.id)).state is RunState.CANCELLED:
        refuse_stopped(run)
    reuse = None if source is None else store.ledger.reuse(source)
    if progress.submitted < run.items:
        _write_ledger(store, reader, run, created.itemizer, found, reuse)
    # The ledger has all references now.
    blobs.close()
    if options.recheck:
        run = store.runs.set_recheck(run, True)
    if options.priority is not None and options.priority is not run.priority:
        run, _moved = set_priority(store, run, options.priority, connections.broker_url)
    return run, Submission(
        records=found.records,
        passed_over=found.passed_over,
        enqueued=_enqueue(connections, run, on_full),
        invalid=found.invalid,
        first_errors=tuple(map(str, found.errors)),
        replaced=created.replaced,
        reused=None if reuse is None else reuse.used,
        whole=records_of_whole(reader),
    )


def _enqueue(connections: Connections, run: Run, on_full: Callable[[], None]) -> int:
    try:
        return connections.enqueue(run, on_full=on_full)
    except BrokerUnavailable as error:
        there = f"the run {run.name} is in the database, with {counted(run.items, 'item')}"
        raise BrokerUnavailable(f"{error}; {there}: once Redis answers, the same submit enqueues them") from error


def _create(
    connections: Connections, reader: Reader, options: SubmitOptions, blobs: Filling, *, shown: str | None
) -> _Created:
    """Survey the input and create its run, or find the one that it belongs to.

    Raises:
        RunConflict: the run of this name has other data or options.
        InputError: no record of it can be used, or, with `strict`, one cannot.
    """
    asked, store = options.asked, connections.store
    base, name = _base_of(options, reader), _name(options, reader)
    pool = load_pool(asked.pool)
    pool.draw(asked.questions_per_image, seed=0, key="")  # Refuses a pool that is too small.
    known = _known_run(store, name)
    limits = known.limits if known else limits_of(connections.settings)
    itemizer = Itemizer(options=asked, pool=pool, limits=limits, base=known.base if known else base, blobs=blobs)
    found = _survey(reader, itemizer, blobs, shown or "the data")
    # A program that makes its records is told of each of them by its result; a file of wrong ones is no such input.
    useless = found.invalid == found.records and shown is not None
    if found.invalid and (options.strict or useless):
        refuse_wrong_records(found, shown)
    run = store.runs.create(
        name,
        options=asked,
        pool_digest=pool.digest,
        fingerprint=found.fingerprint,
        base=base,
        item_count=(found.records - found.invalid) * asked.questions_per_image + found.invalid,
        limits=limits,
    )
    if (run.limits, run.base) != (limits, itemizer.base):
        # Another submit has created it meanwhile, and by its limits other records may be wrong.
        return _create(connections, reader, options, blobs, shown=shown)
    return _Created(run=run, found=found, itemizer=itemizer)


def _made_way(connections: Connections, name: str, base: str) -> bool:
    """Whether the run of this name is gone: it was of the same folder, and nothing of it was answered.

    Raises:
        RunConflict: workers have begun it.
    """
    run = connections.store.runs.get(name)
    if run is None:
        return True
    if run.grows:
        return False
    # A run of another folder is somebody else's: it shares no more than a name.
    return run.base == base and remove_unanswered(connections.store, run, connections.broker_url)


def _name(options: SubmitOptions, reader: Reader) -> str:
    if options.run is not None:
        return check_run_name(options.run)
    try:
        return check_run_name(reader.name)
    except SettingsError as error:
        raise SettingsError(f"{error}, and name the run with {option('run')}") from None


def _shown(data: object) -> str | None:
    """The input, as messages name it; None for records in memory."""
    if not isinstance(data, str | Path):
        return None
    return "standard input" if str(data) == "-" else str(data)


def _known_run(store: Store, name: str) -> Run | None:
    """The run of this name, if there is one; first make sure that runs can be written here.

    Raises:
        RunStopped: it is being deleted.
    """
    store.prepare()
    with suppress(NoDatabase):
        known = store.runs.get(name)
        if known and known.deleting:
            refuse_stopped(known)
        return known
    return None


def _files_of(data: object, pool: str) -> list[str]:
    """What of an input, and of a question pool, are files that somebody could lose."""
    found = [input_path(data), input_path(pool) if Path(pool).is_file() else None]
    return [path for path in found if path is not None]


def _survey(reader: Reader, itemizer: Itemizer, blobs: Filling, shown: str) -> Survey:
    """Read the input once; the blob store learns that items of the ledger will refer to it."""
    found = survey(reader, itemizer, shown)
    if found.has_blobs:
        blobs.leave_mark()
    return found


def _base_of(options: SubmitOptions, reader: Reader) -> str:
    """The folder where relative image paths start, as text that the database and Redis can hold."""
    base = str(options.image_base or reader.base)
    try:
        base.encode()
    except UnicodeEncodeError:
        named = f"the folder {os.fsencode(base)!r} has a name that is not UTF-8"
        raise InputError(f"{named}, so no image in it can be asked about: rename it, or move the input") from None
    return base


def _write_ledger(
    store: Store, reader: Reader, run: Run, itemizer: Itemizer, found: Survey, reuse: Reuse | None
) -> None:
    """Write the items of all records, and the results of wrong ones; existing rows stay.

    Raises:
        InputError: the input has changed, or the database refuses it. The run is gone, unless some of it is enqueued.
    """
    try:
        for items, results in drafts(reader, run.id, itemizer, found):
            store.ledger.add(items, results, reuse=reuse)
    except (InputError, RowRefused) as error:
        store.runs.forget(run)
        raise InputError(str(error)) from error
