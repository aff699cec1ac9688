"""Notebook: what a run, its rows and its progress look like in one, small and quick whatever the run holds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from persqa.errors import PersqaError
from persqa.images import is_remote
from persqa.pairs import PENDING
from persqa.urls import scheme_of
from producer.bars import bar, by_status, swatch
from producer.exporters.page import with_tag
from producer.markup import Markup, element, joined
from producer.pictures import Pictures
from producer.texts import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from persqa.pairs import PairRow
    from persqa.progress import Progress
    from persqa.runs import Run
    from persqa.settings import Settings

#: Characters of an answer, and of a shorter text.
_LONG = 500
_SHORT = 160
_MOST_PICTURES = 8
#: After so long no more pictures are made, in seconds: a cell must not wait for a slow disk.
_PATIENCE_SECONDS = 2.0
#: Of a thumbnail: the longest side in pixels, and the quality of a JPEG.
_SIDE = 96
_QUALITY = 70
_SOFT = "opacity: 0.7"
_CELL = "text-align: left; vertical-align: top"
_WORDS = f"{_CELL}; white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; min-width: 8em"
_HEADINGS = ("", "Question", "Answer", "Status", "Item")


class Thumbnails:
    """Makes small pictures of items of one run; none that a server would have to be asked for."""

    def __init__(self, settings: Settings, run: Run) -> None:
        self._pictures = Pictures(settings, run, side=_SIDE, quality=_QUALITY)
        self._until = time.monotonic() + _PATIENCE_SECONDS
        self._left = _MOST_PICTURES

    def of(self, references: Iterable[str]) -> Markup | None:
        """The first picture of an item; None where there is none, or no more time for it."""
        reference = next(iter(references), None)
        if reference is None or self._left == 0 or time.monotonic() > self._until:
            return None
        if is_remote(reference) and scheme_of(reference) != "blob":
            return None
        self._left -= 1
        try:
            return element("img", src=self._pictures.of(reference), alt="")
        except PersqaError:
            # A cell has no room for what is wrong with a picture; the gallery has.
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A row and what shows its picture."""

    row: PairRow
    picture: Markup | None = None


def rows_html(rows: Sequence[Seen], *, more: bool) -> str:
    """Rows as a table; `more` says that there are others behind them."""
    said = f"The first {len(rows)} rows." if more else None if rows else "No rows."
    return joined([_table(rows), element("p", said, style=_SOFT) if said else None])


def run_html(run: Run, progress: Progress, seen: Sequence[Seen]) -> str:
    """A run: how far it is, and some of its items."""
    return element(
        "div",
        element("p", element("strong", run.name), f" · {progress.state} · {progress.submitted:,} items"),
        Markup(progress_html(progress)),
        _table(seen),
    )


def progress_html(progress: Progress) -> str:
    """A bar with shares, and the counts."""
    counts = by_status(progress)
    parts = [
        element("span", swatch(status), f" {status} {number:,} ", style="margin-right: 1em")
        for status, number in counts.items()
        if number
    ]
    return element("div", bar(counts), element("div", *parts), style="max-width: 720px")


def row_html(row: PairRow) -> str:
    """One row; it does not know where its pictures are."""
    return joined([_table([Seen(row=row)])])


def _table(rows: Sequence[Seen]) -> Markup | None:
    if not rows:
        return None
    head = element("tr", *(element("th", name, style="text-align: left") for name in _HEADINGS))
    return element("table", element("thead", head), element("tbody", *map(_row, rows)))


def _row(seen: Seen) -> Markup:
    row = seen.row
    answer = None if row.answer is None else with_tag(row.answer, row.tag, _LONG)
    why = ": ".join(part for part in (row.reason, row.detail) if part)
    cells = (
        seen.picture or element("div", shown(row.image, _SHORT), style=_WORDS),
        shown(row.question, _SHORT),
        answer if answer is not None else element("span", "no answer yet" if row.status == PENDING else "no answer"),
        joined(
            [
                swatch(row.status),
                f" {row.status}",
                element("div", shown(why, _SHORT), style=f"{_SOFT}; overflow-wrap: anywhere") if why else None,
            ]
        ),
        str(row.item_id),
    )
    styles = (_CELL, _WORDS, _WORDS, _CELL, _CELL)
    return element("tr", *(element("td", cell, style=style) for cell, style in zip(cells, styles, strict=True)))
