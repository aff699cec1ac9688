"""The options that `run` and `submit` share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import typer

from producer.cli.completing import run_names
from producer.cli.numbers import whole
from producer.cli.options import AskFlags

_of_input = partial(typer.Option, rich_help_panel="Input")
_of_run = partial(typer.Option, rich_help_panel="Run")


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitFlags(AskFlags):
    """The options that `run` and `submit` share; a pilot draws its sample itself."""

    limit: Annotated[
        int | None, _of_input("--limit", metavar="N", parser=whole("--limit", 1), help="Only the first N records.")
    ] = None
    sample: Annotated[
        int | None,
        _of_input(
            "--sample",
            metavar="N",
            parser=whole("--sample", 1),
            help="Only N records, drawn at random by --seed, in the input's order.",
        ),
    ] = None
    reuse: Annotated[
        str | None,
        _of_run(
            "--reuse",
            metavar="RUN",
            autocompletion=run_names,
            help="Take the answers of a run with the same options, such as a pilot, where it was asked the same.",
        ),
    ] = None
