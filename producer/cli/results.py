"""`persqa results`: the results or violations of a run."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from persqa.errors import SettingsError
from persqa.pairs import PairRow, ViolationRow
from producer.cli import options
from producer.cli.expanding import expanded
from producer.cli.printing import console, image, plain, print_json, styled_status, table

if TYPE_CHECKING:
    from rich.table import Table

    from producer import RunHandle

_TABLE_LIMIT = 50


@expanded
def command(  # noqa: PLR0913 - one parameter an option
    run: options.Run,
    *,
    status: Annotated[
        str | None, typer.Option("--status", help="Only ok, noncompliant, invalid, dead or pending.")
    ] = None,
    question: Annotated[
        str | None, typer.Option("--question", help="Only this topic, or questions with these words.")
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
    """Show questions and answers, or the violations; with --json one row a line.

    Example: persqa results portraits --status noncompliant
    """
    if status is not None and violations:
        raise SettingsError("--status does not go with --violations: a violation is a generation, not a result")
    with where.client() as client:
        handle = client.run(run)
        rows = handle.violations(question=question) if violations else handle.results(status=status, question=question)
        if as_json:
            for row in islice(rows, limit or None):
                print_json(_fields(row))
            return
        shown = _TABLE_LIMIT if limit is None else limit or None
        if violations:
            _print_violations(handle, question, shown)
        else:
            _print_results(handle, status, question, shown)


def _fields(row: PairRow | ViolationRow) -> dict[str, object]:
    """The row for a script, with the record as JSON instead of text."""
    fields = asdict(row)
    return {**fields, "record": json.loads(row.record)} if isinstance(row, PairRow) else fields


def _print_results(handle: RunHandle, status: str | None, question: str | None, limit: int | None) -> None:
    named = handle.run.options.id_column is not None
    shown = table(["item", *(["id"] if named else []), "image", "question", "status", "rung", "answer"])
    rows = handle.results(status=status, question=question)
    for row in islice(rows, limit):
        answer = row.answer if row.answer is not None else row.detail
        if row.reason is not None and row.answer is not None:
            answer = f"({row.reason}) {answer}"
        shown.add_row(
            str(row.item_id), *([plain(row.record_id)] if named else []), image(row.image), plain(row.question),
            styled_status(row.status), plain(row.rung), plain(answer),
        )  # fmt: skip
    _print_table(shown, more=next(rows, None) is not None)


def _print_violations(handle: RunHandle, question: str | None, limit: int | None) -> None:
    named = handle.run.options.id_column is not None
    shown = table(["item", *(["id"] if named else []), "question", "rung", "kind", "text"])
    rows = handle.violations(question=question)
    for row in islice(rows, limit):
        place = [str(row.item_id), *([plain(row.record_id)] if named else [])]
        shown.add_row(*place, plain(row.question), row.rung, row.kind, plain(repr(row.text)))
    _print_table(shown, more=next(rows, None) is not None)


def _print_table(shown: Table, *, more: bool) -> None:
    console.print(shown if shown.row_count else "no rows")
    if more:
        console.print("[dim]there are more rows: --limit 0 shows all, --json prints them for scripts[/]")
