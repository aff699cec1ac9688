"""Exporting: results -> pairs -> records -> a file, a few at a time."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persqa.blobs import BlobStore
from persqa.choices import parse_choice, refuse_empty
from persqa.errors import SettingsError
from persqa.pairs import Flagged, parse_status
from persqa.results import Status
from persqa.reviews import Wanted, parse_exported
from persqa.words import option, switch
from producer.choosing import Chooser, OnPart, OnRow, by_flags, chooser_for, is_good, parse_split, part_file
from producer.exporters import HUGGING_FACE, ONLY_PART, TEXT, choose_format, write_parts, write_records
from producer.exporters.images import Cells
from producer.exporters.paths import UNCHANGED, Paths, folder_beside, placement
from producer.exporters.shapes import Pair, Shape
from producer.exporters.trainers import check_file, form_for
from producer.options import GivenExportOptions
from producer.targets import check_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Unpack

    from persqa.pairs import PairRow
    from persqa.runs import Run
    from persqa.settings import Settings
    from persqa.store.queries import Queries
    from producer.connections import Connections
    from producer.exporters.copies import Source
    from producer.exporters.left import OnLeft
    from producer.exporters.trainers import Form

#: How many items' violations are looked up at once.
_LOOKED_UP = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """The options of an export, as `GivenExportOptions` describes them."""

    output_key: str = "output"
    only: str | None = None
    reviewed: str | None = None
    file_format: str | None = None
    with_meta: bool = False
    chat: bool | str = False
    paths: str | None = None
    overwrite: bool = False
    gallery: bool = False
    sample: int | None = None
    without_flag: str | Sequence[str] | None = None
    only_flag: str | Sequence[str] | None = None
    split: str | None = None
    one_per_image: bool = False
    no_duplicates: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _On:
    """Who is told of what is left out, and of each row that is written."""

    left: OnLeft
    row: OnRow

    def each(self, rows: Iterator[PairRow]) -> Iterator[PairRow]:
        for row in rows:
            self.row(row)
            yield row


#: The options of a page.
_OF_PAGES = frozenset({"gallery", "sample", "only", "reviewed", "overwrite"})


def export(
    connections: Connections,
    run: Run,
    target: Path,
    *,
    on_left: OnLeft,
    on_part: OnPart,
    on_row: OnRow,
    **given: Unpack[GivenExportOptions],
) -> int:
    """Export a run, as `RunHandle.export` describes."""
    asked, on = _parse(given), _On(left=on_left, row=on_row)
    if asked.gallery:
        return _export_page(connections, run, target, asked)
    parts = {} if asked.split is None else parse_split(asked.split)
    form, chosen = form_for(asked.chat), choose_format(target, asked.file_format)
    if form is not None:
        check_file(target, chosen, form)
    if parts and chosen != HUGGING_FACE:
        for name in parts:
            _check(connections, part_file(target, name), asked, chosen, form)
    chooser = None
    if parts or asked.one_per_image or asked.no_duplicates:
        picky = {"one_per_image": asked.one_per_image, "no_duplicates": asked.no_duplicates}
        chooser = chooser_for(connections.store, run, parts, on_left=on_left, **picky)
    if chooser is None or not parts or chosen == HUGGING_FACE:
        numbers = _export(connections, run, target, asked, chooser, on)
    else:
        numbers = {
            name: sum(_export(connections, run, part_file(target, name), asked, own, on).values())
            for name, own in chooser.parted()
        }
    for name in parts:
        on_part(name, numbers[name])
    return sum(numbers.values())


def _check(connections: Connections, target: Path, asked: _Asked, chosen: str, form: Form | None) -> None:
    """Refuse to write where something would be lost."""
    blobs, inputs = BlobStore(connections.settings.blob_store), connections.store.runs.inputs()
    copied = _paths(asked, chosen, form) is Paths.COPY or form is not None
    for written in (target, folder_beside(target)) if copied and chosen in TEXT else (target,):
        check_target(written, overwrite=asked.overwrite, inputs=inputs, blob_folder=blobs.folder)


def _export(
    connections: Connections, run: Run, target: Path, asked: _Asked, chooser: Chooser | None, on: _On
) -> dict[str, int]:
    """Write one file or data set; gives the number of rows of each of its parts, the only one of which is `train`."""
    form, chosen = form_for(asked.chat), choose_format(target, asked.file_format)
    paths = _paths(asked, chosen, form)
    folder = target if chosen == HUGGING_FACE else target.parent
    place = _place(run, folder, _usual(chosen, form) if paths is Paths.COPY else paths, form)
    shape = _shape(run, target, asked, place, on.left)
    pairs = partial(_pairs, connections.store.queries, run, asked, on)
    blobs = BlobStore(connections.settings.blob_store)
    # A trainer opens no reference to bytes, so in dialogues these are copied in any case.
    copied = paths is Paths.COPY or form is not None
    _check(connections, target, asked, chosen, form)

    def write(shape: Shape, count: Callable[[Iterator[Pair]], Iterator[Pair]] = iter, **more: Any) -> dict[str, int]:
        records = shape.records(count(pairs(chooser)))
        return {ONLY_PART: write_records(records, target, file_format=chosen, overwrite=asked.overwrite, **more)}

    column = shape.image_column if form is None else form.images
    if not copied and chosen != HUGGING_FACE:
        return write(shape, cells=Cells(blobs, column=column, only=_none, on_left=on.left))
    # Only these need what reads images.
    from producer.exporters.copies import ImageFolder, must_be_copied

    base = folder if paths is Paths.RELATIVE else Path(run.base)
    source = replace(_source(connections.settings, run, blobs, base, place, on.left), form=form)
    only = None if paths is Paths.COPY else _none if form is None else must_be_copied(form)
    if chosen in TEXT:
        prefix = f"{folder.resolve()}/" if paths is Paths.ABSOLUTE else ""
        with ImageFolder(target, source, only=only, prefix=prefix) as copies:
            return write(replace(shape, place=copies), copies=copies)
    if paths is Paths.COPY:
        # They are read by the references of the records, which become the names of images.
        shape = replace(shape, place=UNCHANGED)
    cells = Cells(
        blobs,
        source=source,
        column=column,
        only=only,
        decoded=form is not None and form.decoded,
        on_left=on.left,
    )
    if chosen != HUGGING_FACE:
        return write(shape, cells=cells)
    # Only a data set has a card.
    from producer.reports import Chosen, describing

    chosen_rows = Chosen()
    describe = describing(connections.store, run, asdict(asked), chosen_rows)

    if chooser is None or not chooser.parts:
        return write(shape, chosen_rows.each, cells=cells, card=describe)
    records = {name: shape.records(chosen_rows.each(pairs(own))) for name, own in chooser.parted()}
    return write_parts(records, target, cells=cells, overwrite=asked.overwrite, card=describe)


def _shape(run: Run, target: Path, asked: _Asked, place: Callable[[str], str], on_left: OnLeft) -> Shape:
    return Shape(
        output_key=asked.output_key,
        with_meta=asked.with_meta,
        chat=asked.chat,
        folder=target.parent,
        image_column=run.options.image_column,
        id_column=run.options.id_column,
        place=place,
        on_left=on_left,
    )


def _export_page(connections: Connections, run: Run, target: Path, asked: _Asked) -> int:
    from producer.sending import USUAL_SAMPLE, Part, send

    only = None if asked.only is None else parse_status(asked.only)
    reviewed = None if asked.reviewed is None else parse_exported(asked.reviewed)
    inputs, blobs = connections.store.runs.inputs(), BlobStore(connections.settings.blob_store)
    check_target(target, overwrite=asked.overwrite, inputs=inputs, blob_folder=blobs.folder)
    part = Part(sample=asked.sample or USUAL_SAMPLE, only=only, reviewed=reviewed)
    return send(connections, run, target, part, overwrite=asked.overwrite)


def _none(_reference: str) -> bool:
    return False


def _paths(asked: _Asked, chosen: str, form: Form | None) -> Paths:
    return _usual(chosen, form) if asked.paths is None else parse_choice(asked.paths, Paths, name="kind of paths")


def _place(run: Run, folder: Path, paths: Paths, form: Form | None) -> Callable[[str], str]:
    place = placement(run.base, folder, paths)
    if form is None:
        return place
    from producer.exporters.copies import as_opened

    return lambda reference: place(as_opened(reference))


def _usual(chosen: str, form: Form | None) -> Paths:
    """A text file is read by its path; what is inside of a data set cannot know where that lies."""
    if chosen == HUGGING_FACE:
        return Paths.ABSOLUTE
    return Paths.RELATIVE if form is None else form.paths


def _parse(given: GivenExportOptions) -> _Asked:
    for name in given:
        parse_choice(name, GivenExportOptions.__annotations__, name="option of an export")
    refuse_empty(given)
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    asked = _Asked(**options)
    _check_page(asked)
    return asked


def _check_page(asked: _Asked) -> None:
    """Refuse what a page, or anything but a page, cannot have."""
    if asked.sample is not None and not asked.gallery:
        raise SettingsError(f"{option('sample')} is for a page: say {switch('gallery')}, too")
    if asked.sample is not None and asked.sample < 1:
        raise SettingsError(f"{option('sample')}: a page shows at least 1 item, and not {asked.sample}")
    if asked.gallery:
        for one in fields(asked):
            if one.name not in _OF_PAGES and getattr(asked, one.name) != one.default:
                raise SettingsError(f"{option(one.name)} does not go with {switch('gallery')}: leave it out")


def _pairs(queries: Queries, run: Run, asked: _Asked, on: _On, chooser: Chooser | None) -> Iterator[Pair]:
    review = None if asked.reviewed is None else parse_exported(asked.reviewed)
    flagged = Flagged.parse(asked.only_flag, asked.without_flag)
    rows = _rows(queries, run, asked, review)
    if chooser is not None:
        rows = chooser.of_part(rows)
    if flagged is not None:
        rows = by_flags(rows, flagged, on.left)
    if chooser is not None:
        rows = chooser.each(rows)
    rows = on.each(rows)
    reviewed = review is not None
    if asked.with_meta:
        return _with_broken(queries, rows, reviewed=reviewed)
    return (Pair(row=row, reviewed=reviewed) for row in rows)


def _rows(queries: Queries, run: Run, asked: _Asked, review: Wanted | None) -> Iterator[PairRow]:
    if asked.only is not None or not asked.chat:
        return queries.pairs(run, status=None if asked.only is None else parse_status(asked.only), review=review)
    if review is None:
        return queries.pairs(run, status=Status.OK)
    return (row for row in queries.pairs(run, review=review) if is_good(row))


def _with_broken(queries: Queries, rows: Iterator[PairRow], *, reviewed: bool) -> Iterator[Pair]:
    while chunk := list(islice(rows, _LOOKED_UP)):
        broken = queries.broken([row.item_id for row in chunk])
        for row in chunk:
            yield Pair(row=row, broken=broken.get(row.item_id, ()), reviewed=reviewed)


def _source(
    settings: Settings, run: Run, blobs: BlobStore, base: Path, place: Callable[[str], str], on_left: OnLeft
) -> Source:
    """Where images are read from: as a worker of this machine would, and never from a server."""
    from persqa.images import ImageLimits
    from producer.exporters.copies import Source

    limits = ImageLimits(
        roots=tuple(settings.image_roots) or (Path(run.base),),
        max_pixels=settings.max_image_pixels,
        max_bytes=settings.max_image_bytes,
    )
    return Source(base=base, limits=limits, blobs=blobs, place=place, on_left=on_left)
