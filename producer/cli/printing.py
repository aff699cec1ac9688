"""What commands print: tables for people, JSON for scripts."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from persqa.results import Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from persqa.progress import Progress

#: Standard output; without a terminal nothing is cut to its width.
console = Console(width=None if sys.stdout.isatty() else 200)
#: Standard error, for notes beside the output.
notes = Console(stderr=True)

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_DIGEST = re.compile("blob:([0-9a-f]{8})[0-9a-f]{56}")

STYLES = {"ok": "green", "noncompliant": "yellow", "invalid": "magenta", "dead": "red", "pending": "dim"}


def say(text: str, *, to: Console = console) -> None:
    """Print one line of text, in one colour and without line breaks of its own."""
    to.print(text, highlight=False, soft_wrap=True)


def print_json(value: object) -> None:
    """Print one JSON value on one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")


def table(columns: Iterable[str], *, title: str | None = None, numbers: Iterable[str] = ()) -> Table:
    """A table in the house style; the named columns hold numbers."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    right = set(numbers)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def counted(number: int, noun: str, more: str = "") -> str:
    """A number of things, as in `1 item` and `2 items in the queue`."""
    return f"{number} {noun}{'' if number == 1 else 's'}{more and ' '}{more}"


def styled_status(status: str) -> str:
    """A status in its colour."""
    return f"[{STYLES.get(status, 'none')}]{status}[/]"


def plain(value: object) -> str:
    """A value as text that is safe to print: without markup and control characters."""
    return "" if value is None else escape(_CONTROL.sub("\ufffd", str(value)))


def image(references: str) -> str:
    """Image references as text that is safe to print, with digests shortened."""
    return plain(_DIGEST.sub("blob:\\1…", references))


def progress_dict(progress: Progress) -> dict[str, int]:
    """The counts, by their names in the database."""
    counts = {status.value: progress.ended[status] for status in Status}
    return {"submitted": progress.submitted, **counts, "pending": progress.pending}
