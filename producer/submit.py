"""Submitting: input -> records -> items -> ledger -> queue, one chunk at a time.

The ledger is complete before the first message goes out, and messages are made from the ledger. So a submit that was
stopped half-way goes on when it is repeated.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from persqa.blobs import BlobStore, digest_of
from persqa.controls import refuse_stopped, set_priority
from persqa.errors import InputError, NoDatabase, RowRefused, RunConflict
from persqa.questions import load_pool
from persqa.records import RecordLimits
from persqa.runs import RunState, check_run_name
from producer.itemizing import Itemizer
from producer.options import parse_submit_options
from producer.readers import open_input, part_of
from producer.survey import drafts, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from typing import Unpack

    from persqa.runs import Run
    from persqa.settings import Settings
    from persqa.store import Store
    from producer.connections import Connections
    from producer.options import GivenSubmitOptions
    from producer.readers.base import Reader
    from producer.survey import Survey


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
    blobs = _Blobs(settings.blob_store)
    whole = open_input(
        data,
        blobs=blobs,
        input_format=options.input_format,
        split=options.split,
        columns=asked.columns,
        limit=asked.limit,
    )
    reader = part_of(whole, limit=asked.limit, sample=asked.sample, seed=asked.seed)
    base = _base_of(reader)
    name = check_run_name(options.run or reader.name)
    pool = load_pool(asked.pool)
    pool.draw(asked.questions_per_image, seed=0, key="")  # Refuses a pool that is too small.
    known = _known(store, name)
    limits = known.limits if known else _limits_of(settings)
    itemizer = Itemizer(options=asked, pool=pool, limits=limits, base=known.base if known else base, blobs=blobs)
    found = survey(reader, itemizer)
    if options.strict:
        _refuse_wrong_records(found)
    run = store.runs.create(
        name,
        options=asked,
        pool_digest=pool.digest,
        fingerprint=found.fingerprint,
        base=base,
        item_count=(found.records - found.invalid) * asked.questions_per_image + found.invalid,
        limits=limits,
    )
    if found.has_relative_paths:
        _refuse_other_folder(run, base)
    if run.state is RunState.CANCELLED:
        refuse_stopped(run)
    if store.queries.progress(run.id).submitted < run.items:
        blobs.complete = True
        # Of the run, which another submit may have created meanwhile.
        _write_ledger(store, reader, run, replace(itemizer, limits=run.limits, base=run.base), found)
    if options.recheck:
        run = store.runs.set_recheck(run, True)
    if options.priority is not None and options.priority is not run.priority:
        run, _moved = set_priority(store, run, options.priority, connections.broker_url)
    enqueued = connections.enqueue(run, on_full=on_full)
    return run, Submission(enqueued=enqueued, invalid=found.invalid, first_errors=tuple(map(str, found.errors)))


class _Blobs(BlobStore):
    """The blob store of one submit: the first reading fills it, so the second only needs the digests."""

    complete = False

    def put(self, data: bytes) -> str:
        return digest_of(data) if self.complete else super().put(data)


def _known(store: Store, name: str) -> Run | None:
    """The run of this name, if there is one; first make sure that runs can be written here."""
    store.prepare()
    with suppress(NoDatabase):
        return store.runs.get(name)
    return None


def _base_of(reader: Reader) -> str:
    """The folder where relative image paths start, as text that the database and Redis can hold."""
    base = str(reader.base)
    try:
        base.encode()
    except UnicodeEncodeError:
        named = f"the folder {os.fsencode(base)!r} has a name that is not UTF-8"
        raise InputError(f"{named}, so no image in it can be asked about: rename it, or move the input") from None
    return base


def _limits_of(settings: Settings) -> RecordLimits:
    return RecordLimits(
        max_images=settings.max_images,
        max_image_bytes=settings.max_image_bytes,
        max_message_bytes=settings.max_message_bytes,
    )


def _refuse_wrong_records(found: Survey) -> None:
    """Apply `--strict`."""
    if found.invalid:
        shown = "\n  ".join(str(error) for error in found.errors)
        more = f"\n  and {found.invalid - len(found.errors)} more" if found.invalid > len(found.errors) else ""
        raise InputError(f"{found.invalid} of {found.records} records are wrong:\n  {shown}{more}")


def _refuse_other_folder(run: Run, base: str) -> None:
    """Refuse the same names in another folder, as they are other images."""
    if run.base != base:
        raise RunConflict(
            f"the run {run.name!r} exists, and its image paths start at {run.base} and not at {base}; "
            "choose another name with --run, or submit it from there"
        )


def _write_ledger(store: Store, reader: Reader, run: Run, itemizer: Itemizer, found: Survey) -> None:
    """Write the items of all records, and the results of wrong ones; existing rows stay.

    Raises:
        InputError: the input has changed, or the database refuses it. The run is gone, unless some of it is enqueued.
    """
    try:
        for chunk in drafts(reader, run.id, itemizer, found):
            store.ledger.add([item for item, _ in chunk], [result for _, result in chunk if result is not None])
    except (InputError, RowRefused) as error:
        store.runs.forget(run)
        raise InputError(str(error)) from error
