"""`persqa results`: the results or violations of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from itertools import groupby, islice
from typing import Annotated

import typer

from persqa.errors import SettingsError
from persqa.pairs import PairRow
from producer import RunHandle
from producer.cli import options
from producer.cli.expanding import expanded
from producer.cli.printing import console, image, plain, print_json, styled_status, table
from producer.cli.tables import Table

_TABLE_LIMIT = 50


@expanded
def command(  # noqa: PLR0913 - one parameter an option
    run: options.Run,
    *,
    status: Annotated[
        str | None,
        typer.Option("--status", metavar="STATUS", help="Only ok, noncompliant, invalid, dead or pending."),
    ] = None,
    question: Annotated[
        str | None,
        typer.Option(
            "--question",
            metavar="TEXT",
            help="Only this topic, or questions with these words; {tag} stands for any tag.",
        ),
    ] = None,
    violations: Annotated[
        bool, typer.Option("--violations", help="Every generation that broke the tag rule, with its raw text.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", help="Rows at most (default: 50 in a table, all with --json); 0: all."),
    ] = None,
    where: options.Where,
    as_json: options.AsJson = False,
) -> None:
    """Show questions and answers, or what broke the tag rule.

    With --json, each line is a row, with the record as it was given.

    Examples:
        persqa results portraits --status noncompliant
        persqa results portraits --question "What color are {tag}'s eyes?" --json
        persqa results portraits --violations
    """
    if status is not None and violations:
        raise SettingsError("--status does not go with --violations: a violation is a generation, not a result")
    with where.client() as client:
        handle = client.run(run)
        rows = handle.violations(question=question) if violations else handle.results(status=status, question=question)
        if as_json:
            for row in islice(rows, limit or None):
                print_json(asdict(row))
            return
        shown = _TABLE_LIMIT if limit is None else limit or None
        if violations:
            _print_violations(handle, question, shown)
        else:
            _print_results(handle, status, question, shown)


def once_each(rows: Iterable[PairRow]) -> Iterator[PairRow]:
    """The rows for people: those of one record that have no answer for the same reason are one, which counts them."""
    for _, alike in groupby(rows, key=_sameness):
        first, *others = alike
        yield replace(first, question=f"({len(others) + 1} questions)") if others else first


def _sameness(row: PairRow) -> tuple[object, ...]:
    return (row.position, row.detail) if row.answer is None and row.detail is not None else (row.item_id,)


def _print_results(handle: RunHandle, status: str | None, question: str | None, limit: int | None) -> None:
    heads = ["item", "id", "image", "question", "status", "rung", "answer"]
    shown = table(heads, keys=["item", "status", "rung"], names=["id", "image"])
    rows = once_each(handle.results(status=status, question=question))
    for row in islice(rows, limit):
        answer = row.answer if row.answer is not None else row.detail
        if row.reason is not None and row.answer is not None:
            answer = f"({row.reason}) {answer}"
        shown.add_row(
            str(row.item_id), plain(row.record_id), image(row.image), plain(row.question),
            styled_status(row.status), plain(row.rung), plain(answer),
        )  # fmt: skip
    _print_table(shown, more=next(rows, None) is not None)


def _print_violations(handle: RunHandle, question: str | None, limit: int | None) -> None:
    heads = ["item", "id", "question", "rung", "kind", "text"]
    shown = table(heads, keys=["item", "rung", "kind"], names=["id"])
    rows = handle.violations(question=question)
    for row in islice(rows, limit):
        place = str(row.item_id), plain(row.record_id)
        shown.add_row(*place, plain(row.question), row.rung, row.kind, plain(repr(row.text)))
    _print_table(shown, more=next(rows, None) is not None)


def _print_table(shown: Table, *, more: bool) -> None:
    console.print(shown if shown.row_count else "no rows")
    if more:
        console.print("[dim]there are more rows: --limit 0 shows all, --json prints them for scripts[/]")
