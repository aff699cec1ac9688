"""Tables: at any width each name is whole or visibly cut, and nothing that counts is missing."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from producer.cli.printing import plain, table
from producer.cli.tables import cut

if TYPE_CHECKING:
    from producer.cli.tables import Table

COUNTS = ["items", "ok", "noncompliant", "invalid", "dead", "pending", "per s", "left"]
QUESTION = "What is the most distinctive feature of <mam>?"


def drawn(shown: Table, width: int) -> list[str]:
    """As on a terminal of this width."""
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(shown)
    return capture.get().splitlines()


def piped(shown: Table) -> list[str]:
    console = Console(file=StringIO(), width=80, soft_wrap=True)
    with console.capture() as capture:
        console.print(shown)
    return capture.get().splitlines()


def runs(*rows: tuple[str, ...]) -> Table:
    made = table(["run", *COUNTS, "state"], title="runs", keys=["run", "state"], numbers=COUNTS)
    for row in rows:
        made.add_row(*row)
    return made


QUIET = ("portraits", "1200", "1200", "0", "0", "0", "0", "", "", "done")
BUSY = ("customer-pilot", "48000", "400", "1", "2", "3", "47594", "116.0", "0:07:38", "active")


def results(image: str = "images/portrait-000001.jpg", answer: str = "<mam> has a beard.") -> Table:
    heads = ["item", "image", "question", "status", "answer"]
    made = table(heads, keys=["item", "status"], names=["image"])
    made.add_row("10000000000", plain(image), QUESTION, "[green]ok[/]", plain(answer))
    return made


def test_with_room_everything_stands_in_its_column() -> None:
    heads, first, second = drawn(runs(QUIET, BUSY), 120)[1:]
    assert heads.split() == ["run", *" ".join(COUNTS).split(), "state"]
    assert first.split() == [cell for cell in QUIET if cell]
    assert second.split() == list(BUSY)
    assert heads.index("items") + len("items") == first.index("1200") + 4


def test_a_column_without_text_is_never_shown() -> None:
    assert drawn(runs(QUIET), 200)[1].split() == ["run", *COUNTS[:-2], "state"]
    assert piped(runs(QUIET))[1].split() == ["run", *COUNTS[:-2], "state"]


def test_where_room_is_short_columns_of_zeros_go_first() -> None:
    assert drawn(runs(QUIET, (*BUSY[:3], "0", "0", "0", *BUSY[6:])), 80)[1].split() == [
        *("run", "items", "ok", "pending", "per", "s", "left", "state")
    ]


@pytest.mark.parametrize("width", [30, 40, 60, 80])
def test_a_narrow_table_becomes_paragraphs_that_tell_everything(width: int) -> None:
    lines = drawn(runs(QUIET, BUSY), width)
    assert all(cell_len(line) <= width for line in lines)
    text = " ".join(" ".join(lines).split())
    assert "customer-pilot active 48000 items, 400 ok, 1 noncompliant, 2 invalid, 3 dead, 47594 pending," in text
    assert "116.0 per s, 0:07:38 left" in text
    assert "portraits done 1200 items, 1200 ok" in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_what_commands_take_is_never_cut(width: int) -> None:
    name = "a-run-with-a-long-name-of-53-characters-to-be-precise"
    assert name in "\n".join(drawn(runs((name, *BUSY[1:])), width))
    assert "10000000000" in "\n".join(drawn(results(), width))


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_a_files_name_is_never_broken(width: int) -> None:
    lines = drawn(results(), width)
    assert sum("portrait-000001.jpg" in line for line in lines) == 1
    assert all(cell_len(line) <= width for line in lines)
    words = " ".join(" ".join(line.replace("ok", " ").split()) for line in lines).split()
    assert {"distinctive", "feature", "<mam>?", "beard."} <= set(words), "prose goes on between words"


def test_in_a_pipe_a_row_is_a_line_and_nothing_is_cut() -> None:
    long = "images/" + "x" * 300 + ".jpg"
    answer = "<mam> smiles\nand " + "smiles " * 60
    heads, row = piped(results(long, answer))
    assert long in row
    assert row.endswith("<mam> smiles and " + ("smiles " * 60).rstrip())
    assert heads.index("question") == row.index("What")


def test_a_table_may_be_empty() -> None:
    assert drawn(runs(), 30)[0] == "runs"
    assert piped(runs())[1].split()[0] == "run"


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("images/portrait-000001.jpg", 26, "images/portrait-000001.jpg"),
        ("images/portrait-000001.jpg", 25, "imag…/portrait-000001.jpg"),
        ("images/portrait-000001.jpg", 20, "…portrait-000001.jpg"),
        ("images/portrait-000001.jpg", 12, "image…01.jpg"),
        ("Qwen/Qwen2.5-VL-3B-Instruct", 25, "Q…/Qwen2.5-VL-3B-Instruct"),
        ("a-long-name", 5, "a-…me"),
        ("a-long-name", 1, "…"),
        ("/srv/data/", 7, "…/data/"),
        ("写真/写真写真.jpg", 12, "写真/…真.jpg"),
    ],
)
def test_what_is_cut_keeps_its_ends_and_a_path_its_file(text: str, width: int, shown: str) -> None:
    assert cut(Text(text), width).plain == shown


@given(st.text(st.characters(exclude_categories=["C", "M", "Z"]), max_size=60), st.integers(1, 70))
def test_what_is_cut_fits(text: str, width: int) -> None:
    found = cut(Text(text), width)
    assert cell_len(found.plain) <= width
    assert (found.plain == text) == (cell_len(text) <= width) or "…" in text


@given(
    st.lists(st.tuples(*[st.text(st.characters(exclude_categories=["C", "M"]), max_size=40)] * 4), max_size=4),
    st.integers(10, 100),
)
def test_no_text_makes_a_table_fail(rows: list[tuple[str, str, str, str]], width: int) -> None:
    made = table(["key", "name", "number", "prose"], keys=["key"], names=["name"], numbers=["number"])
    for row in rows:
        made.add_row(*map(plain, row))
    assert all(cell_len(line) <= width for line in drawn(made, width))
    assert len(piped(made)) <= 1 + len(rows)
