"""`persqa results`: the results or violations of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import groupby, islice
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table as Grid

from persqa.errors import SettingsError
from persqa.flags import Flag
from persqa.pairs import PENDING, PairRow
from persqa.results import Status
from persqa.reviews import Wanted
from persqa.words import option
from producer.cli import options
from producer.cli.completing import one_of, several_of
from producer.cli.expanding import expanded
from producer.cli.numbers import whole
from producer.cli.printing import console, image, plain, print_json, styled_status, table
from producer.cli.tables import Table

if TYPE_CHECKING:
    from datetime import datetime

    from persqa.pairs import ViolationRow
    from persqa.reviews import Review
    from producer import RunHandle

_TABLE_LIMIT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """The options of `RunHandle.results`, by name."""

    status: Annotated[
        str | None,
        typer.Option(
            "--status",
            metavar="STATUS",
            autocompletion=one_of(*Status, PENDING),
            help="Only ok, noncompliant, invalid, dead or pending.",
        ),
    ] = None
    question: Annotated[
        str | None,
        typer.Option(
            "--question",
            metavar="TEXT",
            help="Only this topic, or questions with these words; {tag} stands for any tag.",
        ),
    ] = None
    review: Annotated[
        str | None,
        typer.Option(
            "--review",
            metavar="REVIEW",
            autocompletion=one_of(*Wanted),
            help="Only accepted, rejected, not-rejected, edited or starred; none: neither decided on nor edited.",
        ),
    ] = None
    flag: Annotated[
        str | None,
        typer.Option(
            "--flag",
            metavar="FLAG[,FLAG]",
            autocompletion=several_of(*Flag),
            help="Only items with one of these flags, such as refusal,blank.",
        ),
    ] = None
    without_flag: Annotated[
        str | None,
        typer.Option(
            "--without-flag",
            metavar="FLAG[,FLAG]",
            autocompletion=several_of(*Flag),
            help="Only items with none of these flags.",
        ),
    ] = None
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Each item when it ends, until the run is closed and done; with --json."),
    ] = False
    after: Annotated[
        int,
        typer.Option(
            "--after",
            metavar="CURSOR",
            parser=whole("--after"),
            help="With --follow: only what ended behind the row with this cursor.",
        ),
    ] = 0


_Item = Annotated[
    int | None,
    typer.Option(
        "--item",
        metavar="ID",
        parser=whole("--item", 1),
        help="All about one item: its result and review, earlier ones, and violations.",
    ),
]
_Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        metavar="N",
        parser=whole("--limit"),
        help="Rows at most (default: 50 in a table, all with --json); 0: all.",
    ),
]


@expanded
def command(  # noqa: PLR0913 - one parameter an option
    run: options.Run,
    *,
    which: Which,
    violations: Annotated[
        bool, typer.Option("--violations", help="Every generation that broke the tag rule, with its raw text.")
    ] = False,
    item: _Item = None,
    limit: _Limit = None,
    where: options.Where,
    as_json: options.AsJson = False,
) -> None:
    """Show questions and answers, or what broke the tag rule.

    With --json, each line is a row, with the record as it was given. With --follow, rows come as their items end, and
    each has a cursor: whoever was interrupted goes on behind the last one that they have.

    Examples:
        persqa results portraits --status noncompliant
        persqa results portraits --question "What color are {tag}'s eyes?" --json
        persqa results portraits --flag refusal,hedge
        persqa results portraits --item 10000000003
        persqa results camera --follow --after 1200 --json
    """
    _refuse_senseless(which, item, violations=violations, as_json=as_json)
    with where.client() as client:
        handle = client.run(run)
        if item is not None:
            _show_item(handle, item, as_json=as_json)
            return
        rows = handle.violations(question=which.question) if violations else handle.results(**asdict(which))  # pyrefly: ignore[no-matching-overload]
        if as_json:
            for row in islice(rows, limit or None):
                print_json(asdict(row), at_once=which.follow)
            return
        shown = _TABLE_LIMIT if limit is None else limit or None
        if violations:
            _print_violations(handle.violations(question=which.question), shown)
        else:
            _print_results(handle, which, shown)


def _refuse_senseless(which: Which, item: int | None, *, violations: bool, as_json: bool) -> None:
    defaults = asdict(Which())
    for name, value in asdict(which).items():
        if value != defaults[name] and violations and name != "question":
            said = "a violation is a generation, not a result"
            raise SettingsError(f"{option(name)} does not go with --violations: {said}")
    if item is not None and (which != Which() or violations):
        others = "--status, --question, --review, --flag, --without-flag, --follow, --after and --violations"
        raise SettingsError(f"--item shows all about one item: leave {others} out")
    if which.follow and not as_json:
        raise SettingsError("a run that is followed is printed row by row: say --json, too")


def once_each(rows: Iterable[PairRow]) -> Iterator[PairRow]:
    """The rows for people: those of one record that have no answer for the same reason are one, which counts them."""
    for _, alike in groupby(rows, key=_sameness):
        first, *others = alike
        yield replace(first, question=f"({len(others) + 1} questions)") if others else first


def _sameness(row: PairRow) -> tuple[object, ...]:
    alone = row.answer is not None or row.detail is None or row.review is not None or row.edited_answer is not None
    return (row.item_id,) if alone else (row.position, row.detail)


def _show_item(handle: RunHandle, item: int, *, as_json: bool) -> None:
    (row,) = handle.results(item=item)
    earlier, violations = handle.earlier_results(item), list(handle.violations(item=item))
    reviews = handle.earlier_reviews(item)
    if as_json:
        lists = {"earlier": earlier, "violations": violations, "earlier_reviews": reviews}
        print_json({**asdict(row), **{name: list(map(asdict, rows)) for name, rows in lists.items()}})
        return
    facts = Grid(box=None, show_header=False, pad_edge=False)
    # Field by field, since the answer may be long.
    told = (row.reason, row.detail) if row.answer is None else (row.reason,)
    for name, value in (
        ("item", row.item_id), ("id", row.record_id), ("record", row.position + 1), ("image", image(row.image)),
        ("question", plain(row.question)), ("status", styled_status(row.status)),
        ("reason", plain(": ".join(filter(None, told)))), ("answer", plain(row.answer)), ("rung", plain(row.rung)),
        ("model", plain(row.model)), ("worker", plain(row.worker)), ("review", _review(row)),
        ("edited answer", plain(row.edited_answer)), ("note", plain(row.note)), ("reviewer", plain(row.reviewer)),
        ("flags", _flags(row)), ("log-probability", _logprobs(row)),
    ):  # fmt: skip
        if value not in (None, ""):
            facts.add_row(f"[bold]{name}[/]", value if isinstance(value, str) else plain(value))
    console.print(facts)
    if earlier:
        before = table(["ended", "status", "rung", "answer", "taken back"], title="earlier results")
        for one in earlier:
            said = plain(one.detail if one.answer is None else one.answer)
            status = styled_status(one.status)
            before.add_row(_moment(one.finished_at), status, plain(one.rung), said, _moment(one.taken_back_at))
        console.print("", before)
    if reviews:
        console.print("", _earlier_reviews(reviews))
    if violations:
        console.print()
        _print_violations(iter(violations), None)


def _flags(row: PairRow) -> str:
    """As in `blank, refusal (I'm sorry)`."""
    said = [(one.flag, (row.answer or "")[one.start : one.end] if one.end else "") for one in row.flags]
    return plain(", ".join(f"{flag} ({words})" if words else flag for flag, words in said))


def _logprobs(row: PairRow) -> str:
    if row.logprob_mean is None:
        return ""
    return plain(f"{row.logprob_mean:.2f} on average, {row.logprob_min:.2f} of {row.logprob_min_token!r}")


def _review(row: PairRow) -> str:
    edited = "edited" if row.edited_answer is not None else None
    return ", ".join(filter(None, (row.review, edited, "starred" if row.starred else None)))


def _earlier_reviews(reviews: list[Review]) -> Table:
    before = table(["reviewed", "reviewer", "review", "edited answer", "note", "until"], title="earlier reviews")
    for one in reviews:
        review = ", ".join(filter(None, (one.decision, "starred" if one.starred else None)))
        until = "" if one.replaced_at is None else _moment(one.replaced_at)
        said = _moment(one.reviewed_at), plain(one.reviewer)
        before.add_row(*said, review, plain(one.answer), plain(one.note), until)
    return before


def _moment(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def _print_results(handle: RunHandle, which: Which, limit: int | None) -> None:
    heads = ["item", "id", "image", "question", "status", "rung", "flags", "review", "answer"]
    shown = table(heads, keys=["item", "status", "rung", "review"], names=["id", "image"])
    rows = once_each(handle.results(**asdict(which)))  # pyrefly: ignore[no-matching-overload]
    for row in islice(rows, limit):
        shown.add_row(
            str(row.item_id), plain(row.record_id), image(row.image), plain(row.question),
            styled_status(row.status), plain(row.rung), ", ".join(one.flag for one in row.flags), _review(row),
            plain(_answer(row)),
        )  # fmt: skip
    _print_table(shown, more=next(rows, None) is not None)


def _answer(row: PairRow) -> str | None:
    """The answer as it counts, or why there is none."""
    if row.edited_answer is not None:
        return row.edited_answer
    if row.answer is None:
        return row.detail
    return row.answer if row.reason is None else f"({row.reason}) {row.answer}"


def _print_violations(rows: Iterator[ViolationRow], limit: int | None) -> None:
    heads = ["item", "id", "question", "rung", "kind", "text"]
    shown = table(heads, keys=["item", "rung", "kind"], names=["id"])
    for row in islice(rows, limit):
        place = str(row.item_id), plain(row.record_id)
        shown.add_row(*place, plain(row.question), row.rung, row.kind, plain(repr(row.text)))
    _print_table(shown, more=next(rows, None) is not None)


def _print_table(shown: Table, *, more: bool) -> None:
    console.print(shown if shown.row_count else "no rows")
    if more:
        console.print("[dim]there are more rows: --limit 0 shows all, --json prints them for scripts[/]")
