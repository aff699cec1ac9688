"""The options of `persqa export` that shape what is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from persqa.flags import Flag
from persqa.pairs import PENDING
from persqa.results import Status
from persqa.reviews import EXPORTED
from producer.cli.completing import one_of, several_of
from producer.cli.numbers import whole
from producer.exporters.paths import Paths
from producer.exporters.trainers import Trainer


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
