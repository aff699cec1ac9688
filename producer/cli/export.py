"""`persqa export`: a run as a file, or as a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from persqa.settings import load_settings
from producer.cli import options
from producer.cli.printing import console, print_json
from producer.client import Client


def command(  # noqa: PLR0913 - one parameter an option
    run: options.Run,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help=".json, .jsonl, .csv (also .gz, .zst), .parquet, or a folder.")
    ],
    output_key: Annotated[
        str, typer.Option("--output-key", metavar="NAME", help="The field that gets the answer.")
    ] = "output",
    only: Annotated[
        str | None, typer.Option("--only", metavar="STATUS", help="Only ok, noncompliant, ... (with --chat: ok).")
    ] = None,
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="json, jsonl, csv, parquet or hf, a Hugging Face data set in a folder (default: by suffix).",
        ),
    ] = None,
    with_meta: Annotated[
        bool,
        typer.Option("--with-meta", help="Add a field `persqa`: question, verdict, violations, rung, model, tokens."),
    ] = False,
    chat: Annotated[
        bool,
        typer.Option(
            "--chat", help="Dialogues to train with (ShareGPT, LLaVA): id, image and conversations, one a record."
        ),
    ] = False,
    broker_url: options.BrokerUrl = None,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
) -> None:
    """Write the records in the input's order and shape, with the prompt and the answer.

    Every record of the input is there; the answer is null where there is none. The file appears when it is whole.

    Example: persqa export portraits pairs.jsonl --only ok --output-key pers_qa
    """
    with Client(load_settings(broker_url=broker_url, database_url=database_url)) as client:
        handle = client.run(run)
        number = handle.export(
            file, output_key=output_key, only=only, file_format=file_format, with_meta=with_meta, chat=chat
        )
        if as_json:
            print_json({"run": handle.name, "file": str(file), "rows": number})
            return
        console.print(f"{number} rows written to {file}", highlight=False, soft_wrap=True)
        if pending := handle.progress().pending:
            console.print(f"[yellow]{pending} of them have no answer yet[/]")
