"""The options of `submit` that add to an open run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import typer

from producer.cli.completing import run_names

_of_open_run = partial(typer.Option, rich_help_panel="Open run")


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendFlags:
    """To which run, and which records are the same."""

    append: Annotated[
        str | None,
        _of_open_run(
            "--append",
            metavar="RUN",
            autocompletion=run_names,
            help="Add the records to this open run, which is opened if there is none; `persqa close RUN` ends it.",
        ),
    ] = None
    key: Annotated[
        str | None,
        _of_open_run(
            "--key", metavar="FIELD", help="The field that names a record (default: its content is its name)."
        ),
    ] = None
    replace: Annotated[
        bool,
        _of_open_run(
            "--replace", help="Take the place of other records of the same key, which are kept as earlier ones."
        ),
    ] = False
