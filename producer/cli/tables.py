"""Tables for people: they fit the terminal, and what names a thing is never broken in the middle."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console, ConsoleOptions

_GAP = "  "
_CUT = "…"
#: Where cells would have to be narrower, each row becomes a paragraph.
_LEAST = 20
#: Names take this part of the width before prose gets what it wants.
_FIRST_FOR_NAMES = 4


class Kind(Enum):
    """What a column holds, and so what may happen to it where room is short."""

    KEY = auto()  #: what commands take, such as a run's name: it stays whole
    NAME = auto()  #: a file, a model, a queue: cut in the middle, a path before its last part
    NUMBER = auto()  #: it stays whole; a column of zeros is left out
    PROSE = auto()  #: goes on in the next line, between words


@dataclass(frozen=True, slots=True)
class Column:
    """One column, with its head."""

    head: str
    kind: Kind


@dataclass(slots=True)
class Table:
    """Rows under heads; a column without any text is not shown.

    Where lines may be as long as they like, such as in a pipe, it is as wide as its cells. On a terminal, columns of
    zeros go first, then names are cut and prose is wrapped, and where that is not enough, each row becomes a paragraph.
    """

    columns: Sequence[Column]
    title: str | None = None
    _rows: list[list[Text]] = field(default_factory=list[list[Text]])

    def add_row(self, *cells: str) -> None:
        """Add a cell for each column, as markup."""
        texts = zip(self.columns, (Text.from_markup(cell.replace("\t", " ")) for cell in cells), strict=True)
        self._rows.append([cell if column.kind is Kind.PROSE else _one_line(cell) for column, cell in texts])

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        if self.title:
            yield Text(self.title, style="bold")
        grid = _Grid(self.columns, self._rows).without(lambda _, cell: not cell.plain)
        if options.no_wrap:
            grid = grid.one_line_each()
            yield from grid.lines(console, grid.natural_widths())
            return
        natural = grid.natural_widths()
        widths: list[int] | None = natural
        if _total(natural) > options.max_width:
            grid = grid.without(lambda column, cell: column.kind is Kind.NUMBER and _is_zero(cell))
            widths = grid.fitting_widths(options.max_width)
        if widths is None:
            yield from grid.paragraphs(console, options.max_width)
        else:
            yield from grid.lines(console, widths)


@dataclass(frozen=True, slots=True)
class _Grid:
    """What of a table is shown."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Text]]

    def without(self, dull: Callable[[Column, Text], bool]) -> _Grid:
        """The same without columns that have nothing but such cells; of an empty table all stay."""
        kept = [
            place
            for place, column in enumerate(self.columns)
            if not self.rows or not all(dull(column, row[place]) for row in self.rows)
        ]
        return _Grid([self.columns[place] for place in kept], [[row[place] for place in kept] for row in self.rows])

    def one_line_each(self) -> _Grid:
        return _Grid(self.columns, [[_one_line(cell) for cell in row] for row in self.rows])

    def natural_widths(self) -> list[int]:
        heads = [cell_len(column.head) for column in self.columns]
        return [max(head, *(_width(row[place]) for row in self.rows), 0) for place, head in enumerate(heads)]

    def fitting_widths(self, width: int) -> list[int] | None:
        """The widths of columns that are not wider together; None if some would be too narrow."""
        wanted = self.natural_widths()
        if _total(wanted) <= width:
            return wanted
        elastic = {Kind.NAME: list[int](), Kind.PROSE: list[int]()}
        for place, column in enumerate(self.columns):
            elastic.get(column.kind, []).append(place)
        names, prose = elastic[Kind.NAME], elastic[Kind.PROSE]
        widths = [min(wish, _LEAST) if place in (*names, *prose) else wish for place, wish in enumerate(wanted)]
        spare = width - _total(widths)
        if spare < 0:
            return None
        for places, limit in ((names, width // _FIRST_FOR_NAMES), (prose, width), (names, width)):
            wishes = [max(min(wanted[place], limit) - widths[place], 0) for place in places]
            for place, more in zip(places, _shared(spare, wishes), strict=True):
                widths[place] += more
                spare -= more
        return widths

    def lines(self, console: Console, widths: Sequence[int]) -> Iterator[Text]:
        """The heads, and below them each row, in as many lines as its longest cell needs."""
        heads = [Text(column.head, style="bold") for column in self.columns]
        for row in (heads, *self.rows):
            cells = [
                self._fitted(console, column, cell, width)
                for column, cell, width in zip(self.columns, row, widths, strict=True)
            ]
            for parts in zip_longest(*cells, fillvalue=Text()):
                yield _joined(self.columns, parts, widths)

    def _fitted(self, console: Console, column: Column, cell: Text, width: int) -> list[Text]:
        if _width(cell) <= width and "\n" not in cell.plain:
            return [cell]
        if column.kind is Kind.PROSE:
            return _wrapped(console, cell, width)
        return [cut(cell, width)]

    def paragraphs(self, console: Console, width: int) -> Iterator[Text]:
        """Each row as a line of what names it, and below, indented, its numbers with their heads, and its prose."""
        inner = width - len(_GAP)
        naming = [Text(column.head, style="bold") for column in self.columns if column.kind in _NAMING]
        yield from _flowing(naming, width, _GAP)
        for row in self.rows:
            cells = list(zip(self.columns, row, strict=True))
            names = [cut(cell, width) for column, cell in cells if column.kind in _NAMING and cell]
            yield from _flowing(names, width, _GAP)
            counted = [(cell, column.head) for column, cell in cells if column.kind is Kind.NUMBER]
            numbers = [Text.assemble(cell, " ", head) for cell, head in counted if not _is_zero(cell)]
            prose = [cell for column, cell in cells if column.kind is Kind.PROSE and cell]
            for line in chain(_flowing(numbers, inner, ", "), *(_wrapped(console, cell, inner) for cell in prose)):
                yield Text.assemble(_GAP, line)


_NAMING = (Kind.KEY, Kind.NAME)


def cut(text: Text, width: int) -> Text:
    """The text without its middle, if it is wider; of a path the last part stays as long as there is room for it."""
    if _width(text) <= width:
        return text
    plain = text.plain
    slash = plain.rstrip("/").rfind("/")
    # The last part with the stroke before it, or without.
    ends = [len(plain) - place for place in (slash, slash + 1) if slash >= 0 and cell_len(plain[place:]) < width]
    end = ends[0] if ends else _fitting(plain[::-1], width // 2)
    start = _fitting(plain, width - 1 - cell_len(plain[len(plain) - end :]))
    return Text.assemble(text[:start], (_CUT, text.style), text[len(plain) - end :])


def _fitting(plain: str, width: int) -> int:
    """How many of the first characters are not wider together."""
    number = 0
    while number < len(plain) and (width := width - cell_len(plain[number])) >= 0:
        number += 1
    return number


def _width(cell: Text) -> int:
    return max(map(cell_len, cell.plain.split("\n")))


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _is_zero(cell: Text) -> bool:
    return not cell.plain.strip("0.")


def _one_line(cell: Text) -> Text:
    return Text(" ").join(cell.split("\n")) if "\n" in cell.plain else cell


def _shared(room: int, wishes: Sequence[int]) -> list[int]:
    """The room for each: as wished while all have enough, otherwise all have the same at most."""
    given = [0] * len(wishes)
    order = sorted(range(len(wishes)), key=wishes.__getitem__)
    for left, place in zip(range(len(order), 0, -1), order, strict=True):
        given[place] = min(wishes[place], room // left)
        room -= given[place]
    return given


def _joined(columns: Sequence[Column], parts: Sequence[Text], widths: Sequence[int]) -> Text:
    line = Text(no_wrap=True, overflow="ignore")
    for place, (column, part, width) in enumerate(zip(columns, parts, widths, strict=True)):
        pad = " " * (width - cell_len(part.plain))
        line.append(_GAP if place else "")
        line.append_text(Text.assemble(pad, part) if column.kind is Kind.NUMBER else Text.assemble(part, pad))
    line.rstrip()
    return line


def _flowing(parts: Sequence[Text], width: int, between: str) -> Iterator[Text]:
    """The parts one after the other, in as many lines as they need; only one that is wider than a line is cut."""
    line, mark = Text(), between.rstrip()
    for part in parts:
        if line and _width(line) + len(between) + _width(part) + len(mark) > width:
            yield Text.assemble(line, mark)
            line = Text()
        line = Text.assemble(line, between if line else "", part)
    if line:
        yield line


def _wrapped(console: Console, text: Text, width: int) -> list[Text]:
    lines = list(text.wrap(console, width, overflow="fold"))
    for line in lines:
        line.rstrip()
    return lines
