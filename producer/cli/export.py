"""`persqa export`: a run as a file, or as a data set."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from persqa.flags import Flag
from persqa.pairs import PENDING
from persqa.results import Status
from persqa.reviews import EXPORTED
from persqa.words import counted
from producer.choosing import part_file
from producer.cli import options
from producer.cli.completing import one_of, several_of
from producer.cli.expanding import expanded
from producer.cli.numbers import whole
from producer.cli.printing import plain, print_json, say
from producer.exporters import HUGGING_FACE, choose_format
from producer.exporters.paths import Paths, folder_beside
from producer.exporters.trainers import Trainer

if TYPE_CHECKING:
    from producer import RunHandle
    from producer.exporters.left import Left

#: From here on a mail may be refused by its size, in bytes; a mail is a third larger than what it carries.
_LARGE_MAIL = 15 * 10**6


#: The options that leave out rows.
_CHOOSING = ("without_flag", "only_flag", "one_per_image", "no_duplicates")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The options of `RunHandle.export`, by name."""

    output_key: Annotated[str, typer.Option("--output-key", metavar="NAME", help="The field that gets the answer.")] = (
        "output"
    )
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            metavar="STATUS",
            autocompletion=one_of(*Status, PENDING),
            help="Only ok, noncompliant, invalid, dead or pending (default: all; with --chat: ok).",
        ),
    ] = None
    reviewed: Annotated[
        str | None,
        typer.Option(
            "--reviewed",
            metavar="REVIEW",
            autocompletion=one_of(*EXPORTED),
            help="Only accepted or not-rejected ones, with the answers that people wrote in place of the model's.",
        ),
    ] = None
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            autocompletion=one_of("json", "jsonl", "csv", "parquet", "hf"),
            help="json, jsonl, csv, parquet or hf, a Hugging Face data set in a folder (default: by suffix).",
        ),
    ] = None
    with_meta: Annotated[
        bool,
        typer.Option(
            "--with-meta",
            help="Add a field `persqa`: question, verdict, violations, flags, rung, model, tokens, review.",
        ),
    ] = False
    without_flag: Annotated[
        str | None,
        typer.Option(
            "--without-flag",
            metavar="FLAG[,FLAG]",
            autocompletion=several_of(*Flag),
            help="Leave out items with one of these flags, such as refusal,hedge.",
        ),
    ] = None
    only_flag: Annotated[
        str | None,
        typer.Option(
            "--only-flag",
            metavar="FLAG[,FLAG]",
            autocompletion=several_of(*Flag),
            help="Leave out items with none of these flags.",
        ),
    ] = None
    chat: Annotated[
        str | None,
        typer.Option(
            "--chat",
            metavar=f"[{'|'.join(Trainer)}]",
            help="Dialogues to train with, one a record, as this trainer reads them (by itself: sharegpt, which most "
            "do). Images that came as bytes travel with them.",
        ),
    ] = None
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace FILE if it exists; never a run's input, an image or a database."),
    ] = False
    paths: Annotated[
        str | None,
        typer.Option(
            "--paths",
            metavar="KIND",
            autocompletion=one_of(*Paths),
            help="How image files are referred to: relative to the folder of FILE (default); absolute (default of hf); "
            "or copy, so that they travel with it: in FILE-images, or inside of Parquet and hf.",
        ),
    ] = None
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            metavar="PARTS",
            help="Several files, as in train=90%,test=10%, or the splits of hf; no picture, nor one that looks the "
            "same, is in two of them.",
        ),
    ] = None
    one_per_image: Annotated[
        bool, typer.Option("--one-per-image", help="Only the first answer about each picture.")
    ] = False
    no_duplicates: Annotated[
        bool,
        typer.Option(
            "--no-duplicates",
            help="Leave out an answer about a picture where the question, or the answer, was there already.",
        ),
    ] = False
    gallery: Annotated[
        bool,
        typer.Option("--gallery", help="A page for a browser, FILE.html: pictures, answers, filters and figures."),
    ] = False
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample",
            metavar="N",
            parser=whole("--sample", 1),
            help="With --gallery: so many items, what failed among them (default: 200).",
        ),
    ] = None


@dataclass(slots=True)
class _Left:
    """What an export does not carry: images that are not copied, with the first one, answers of dialogues, and rows."""

    rows: int = 0
    rules: Counter[str] = field(default_factory=Counter[str])
    failed: int = 0
    remote: int = 0
    answers: int = 0
    dialogues: int = 0
    image: str = ""
    answer: str = ""
    parts: dict[str, int] = field(default_factory=dict[str, int])

    def count(self, left: Left) -> None:
        if left.rules:
            self.rows += 1
            self.rules.update(left.rules)
            return
        if not left.reference:
            self.answers += 1
            self.answer = self.answer or left.why
            return
        self.dialogues += left.dropped
        if left.remote:
            self.remote += 1
            return
        self.failed += 1
        self.image = self.image or left.why

    def counts(self, shape: Shape) -> dict[str, object]:
        copied = {"not_copied": self.failed, "not_fetched": self.remote}
        left_out = {"dialogues_left_out": self.dialogues, "answers_left_out": self.answers}
        told = self.failed or shape.paths == Paths.COPY or shape.chat is not None
        picky = any(getattr(shape, name) for name in _CHOOSING)
        chosen = {"rows_left_out": self._rows()} if picky else {}
        return {**chosen, **(copied if told else {}), **(left_out if shape.chat is not None else {})}

    def _rows(self) -> dict[str, int]:
        """How many rows are left out in all, and for each rule; several may speak against one."""
        return {"all": self.rows, **dict(self.rules.most_common())}

    def report(self, shape: Shape) -> None:
        if any(getattr(shape, name) for name in _CHOOSING):
            why = ", ".join(f"{rule} {number}" for rule, number in self.rules.most_common())
            say(f"{counted(self.rows, 'row')} left out{f': {plain(why)}' if why else ''}")
        if self.failed:
            say(f"[yellow]images not copied: {self.failed}, the first: {plain(self.image)}[/]")
        if self.remote:
            say(f"images on servers, which an export does not fetch: {self.remote}")
        if self.dialogues:
            say(f"[yellow]dialogues left out for want of their images: {self.dialogues}[/]")
        if self.answers:
            say(f"[yellow]answers left out: {self.answers}, the first: {plain(self.answer)}[/]")


@expanded
def command(
    run: options.Run,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help=".json, .jsonl, .csv (also .gz, .zst), .parquet, or a folder.")
    ],
    *,
    shape: Shape,
    where: options.Where,
    as_json: options.AsJson = False,
) -> None:
    """Write a run's records, with prompts and answers, to a file.

    Every record of the input is there, in the input's order and shape; the answer is null where there is none. The
    file appears when it is whole, and replaces nothing unless --overwrite says so. With --gallery it is a page to send:
    some items with their pictures, and figures of all of them, in one file that any browser opens.

    Examples:
        persqa export portraits pairs.jsonl --only ok --output-key pers_qa
        persqa export portraits good.jsonl --without-flag refusal,hedge
        persqa export portraits dialogues.json --chat
        persqa export portraits dialogues.parquet --chat trl
        persqa export portraits page.html --gallery --sample 500
    """
    with where.client() as client:
        handle = client.run(run)
        left = _Left()
        number = handle.export(file, on_left=left.count, on_part=left.parts.__setitem__, **asdict(shape))
        if shape.gallery:
            _report_page(handle, file, number, as_json=as_json)
            return
        if as_json:
            print_json({"run": handle.name, "file": str(file), "rows": number, **_parts(left), **left.counts(shape)})
            return
        copies = (shape.paths == Paths.COPY or shape.chat is not None) and folder_beside(file).exists()
        where_copies = f", copies of images to {folder_beside(file)}" if copies else ""
        say(f"{counted(number, 'row')} written to {plain(file)}{plain(where_copies)}{_said(left, file, shape)}")
        left.report(shape)
        if shape.reviewed is None and client.store.reviews.any(handle.run.id):
            say("what people said of its answers changes nothing in the file: --reviewed not-rejected goes by it")
        if pending := handle.progress().pending:
            say(f"[yellow]{counted(pending, 'item of the run has', 'items of the run have')} no answer yet[/]")


def _parts(left: _Left) -> dict[str, object]:
    return {"parts": left.parts} if left.parts else {}


def _said(left: _Left, file: Path, shape: Shape) -> str:
    """As in `: train 90, test 10`, with the files of the parts."""
    if not left.parts:
        return ""
    folder = choose_format(file, shape.file_format) == HUGGING_FACE
    named = {name: name if folder else part_file(file, name).name for name in left.parts}
    return f": {', '.join(f'{plain(named[name])} {number:,}' for name, number in left.parts.items())}"


def _report_page(handle: RunHandle, file: Path, number: int, *, as_json: bool) -> None:
    size = file.stat().st_size
    if as_json:
        print_json({"run": handle.name, "file": str(file), "rows": number, "bytes": size})
        return
    whole = counted(handle.progress().submitted, "item")
    say(f"{number} of {whole}, {size / 10**6:.1f} MB, written to {plain(file)}: any browser opens it")
    if size > _LARGE_MAIL:
        say("[yellow]that may be too large for a mail: a smaller --sample makes it smaller[/]")
