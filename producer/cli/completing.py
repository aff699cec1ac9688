"""What the shell offers where a command wants a run, or one of a few words."""

from __future__ import annotations

import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

#: Longest time that somebody waits who has pressed the tab key.
_SECONDS = 1.0


def one_of(*choices: str) -> Callable[[str], list[str]]:
    """What offers these words."""

    def offered(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return offered


def several_of(*choices: str) -> Callable[[str], list[str]]:
    """What offers these words, one after another with commas."""

    def offered(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        named = before.split(",")
        return [before + comma + choice for choice in choices if choice.startswith(last) and choice not in named]

    return offered


def run_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The runs of the database that is named so far, the newest first; none if it cannot be read at once."""
    found: list[str] = []
    url = ctx.params.get("database_url")

    def look() -> None:
        # Whoever presses the tab key wants no complaint.
        with suppress(Exception):
            found.extend(name for name in _names(url) if name.startswith(incomplete))

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(_SECONDS)
    return list(found)


def _names(url: str | None) -> list[str]:
    from persqa.settings import load_settings
    from persqa.store import Store

    with closing(Store.look(load_settings(database_url=url).database_url)) as store:
        return [run.name for run in store.runs.all()]
