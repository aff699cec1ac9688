"""`persqa export`: a run as a file, or as a data set."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from persqa.words import counted
from producer.cli import options
from producer.cli.expanding import expanded
from producer.cli.printing import console, print_json, say


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
            help="Only ok, noncompliant, invalid, dead or pending (default: all; with --chat: ok).",
        ),
    ] = None
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="json, jsonl, csv, parquet or hf, a Hugging Face data set in a folder (default: by suffix).",
        ),
    ] = None
    with_meta: Annotated[
        bool,
        typer.Option("--with-meta", help="Add a field `persqa`: question, verdict, violations, rung, model, tokens."),
    ] = False
    chat: Annotated[
        bool,
        typer.Option(
            "--chat", help="Dialogues to train with (ShareGPT, LLaVA): id, image and conversations, one a record."
        ),
    ] = False
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace FILE if it exists; never a run's input, an image or a database."),
    ] = False


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
    """
    with where.client() as client:
        handle = client.run(run)
        number = handle.export(file, **asdict(shape))
        if as_json:
            print_json({"run": handle.name, "file": str(file), "rows": number})
            return
        say(f"{counted(number, 'row')} written to {file}")
        if pending := handle.progress().pending:
            console.print(f"[yellow]{counted(pending, 'of them has', 'of them have')} no answer yet[/]")
