"""What commands print: tables for people, JSON for scripts."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from producer.cli.tables import Column, Kind, Table, cut
from producer.intervals import percent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Standard output; without a terminal nothing is wrapped or cut.
console = Console(width=None if sys.stdout.isatty() else 200, soft_wrap=not sys.stdout.isatty())
#: Standard error, for notes beside the output.
notes = Console(stderr=True, soft_wrap=not sys.stderr.isatty())

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
#: A command to type.
_COMMAND = re.compile(r"(?<![\w/])persqa [a-z]")
_DIGEST = re.compile("blob:([0-9a-f]{8})[0-9a-f]{56}")

#: How wide references are in a table without a terminal; a URL or a path may have thousands of characters.
_LONGEST_REFERENCE = 200

STYLES = {"ok": "green", "noncompliant": "yellow", "invalid": "magenta", "dead": "red", "pending": "dim"}


def say(text: str, *, to: Console = console) -> None:
    """Print one line of text, in one colour; it is broken between words only, and nowhere without a terminal.

    Nor is it broken where it has a command to type: each line of what is pasted is run by itself.
    """
    to.print(text, highlight=False, soft_wrap=not to.is_terminal or _COMMAND.search(text) is not None)


def whole_line(markup: str) -> Text:
    """A line of what is drawn as a whole, with `crop=False`; as `say`, it does not break a command to type."""
    text = Text.from_markup(markup)
    if _COMMAND.search(text.plain):
        text.no_wrap, text.overflow = True, "ignore"
    return text


def print_json(value: object, *, at_once: bool = False) -> None:
    """Print one JSON value on one line; who reads it gets it at once, or with the next ones."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    if at_once:
        sys.stdout.flush()


def table(
    columns: Iterable[str],
    *,
    title: str | None = None,
    keys: Iterable[str] = (),
    names: Iterable[str] = (),
    numbers: Iterable[str] = (),
) -> Table:
    """A table with these heads; the columns that are not named as another `Kind` hold prose."""
    named = {Kind.KEY: keys, Kind.NAME: names, Kind.NUMBER: numbers}
    kinds = {head: kind for kind, heads in named.items() for head in heads}
    return Table([Column(head, kinds.get(head, Kind.PROSE)) for head in columns], title)


def flags_table(counts: Mapping[str, int], answers: int) -> Table:
    """How many items have each flag, and their share of all that have an answer."""
    shown = table(["flag", "items", "share"], keys=["flag"], numbers=["items", "share"])
    for flag, number in counts.items():
        shown.add_row(flag, str(number), percent(number / answers) if answers else "")
    return shown


def styled_status(status: str) -> str:
    """A status in its colour."""
    return f"[{STYLES.get(status, 'none')}]{status}[/]"


def plain(value: object) -> str:
    """A value as text that is safe to print: without markup and control characters."""
    return "" if value is None else escape(_CONTROL.sub("\ufffd", str(value)))


def image(references: str) -> str:
    """Image references as text that is safe to print: of long ones, and on a terminal of digests, a part is enough."""
    shown = _DIGEST.sub("blob:\\1…", references) if console.is_terminal else references
    return plain(cut(Text(shown), _LONGEST_REFERENCE).plain)
