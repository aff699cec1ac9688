"""`persqa export`: a run as a file, or as a data set."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from persqa.pairs import PENDING
from persqa.results import Status
from persqa.reviews import EXPORTED
from persqa.words import counted
from producer.cli import options
from producer.cli.completing import one_of
from producer.cli.expanding import expanded
from producer.cli.printing import plain, print_json, say
from producer.exporters.paths import Paths, folder_beside
from producer.exporters.trainers import Trainer

if TYPE_CHECKING:
    from producer.exporters.left import Left


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
            "--with-meta", help="Add a field `persqa`: question, verdict, violations, rung, model, tokens, review."
        ),
    ] = False
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


@dataclass(slots=True)
class _Left:
    """What an export does not carry: images that are not copied, with the first one, and answers of dialogues."""

    failed: int = 0
    remote: int = 0
    answers: int = 0
    dialogues: int = 0
    image: str = ""
    answer: str = ""

    def count(self, left: Left) -> None:
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

    def counts(self, shape: Shape) -> dict[str, int]:
        copied = {"not_copied": self.failed, "not_fetched": self.remote}
        left_out = {"dialogues_left_out": self.dialogues, "answers_left_out": self.answers}
        told = self.failed or shape.paths == Paths.COPY or shape.chat is not None
        return {**(copied if told else {}), **(left_out if shape.chat is not None else {})}

    def report(self) -> None:
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
    file appears when it is whole, and replaces nothing unless --overwrite says so.

    Examples:
        persqa export portraits pairs.jsonl --only ok --output-key pers_qa
        persqa export portraits dialogues.json --chat
        persqa export portraits dialogues.parquet --chat trl
    """
    with where.client() as client:
        handle = client.run(run)
        left = _Left()
        number = handle.export(file, on_left=left.count, **asdict(shape))
        if as_json:
            print_json({"run": handle.name, "file": str(file), "rows": number, **left.counts(shape)})
            return
        copies = (shape.paths == Paths.COPY or shape.chat is not None) and folder_beside(file).exists()
        where_copies = f", copies of images to {folder_beside(file)}" if copies else ""
        say(f"{counted(number, 'row')} written to {plain(file)}{plain(where_copies)}")
        left.report()
        if shape.reviewed is None and client.store.reviews.any(handle.run.id):
            say("what people said of its answers changes nothing in the file: --reviewed not-rejected goes by it")
        if pending := handle.progress().pending:
            say(f"[yellow]{counted(pending, 'item of the run has', 'items of the run have')} no answer yet[/]")
