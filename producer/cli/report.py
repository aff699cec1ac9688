"""`persqa report`: what a run comes to, and what its answers are worth."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from persqa.words import counted
from producer.cli import options
from producer.cli.expanding import expanded
from producer.cli.printing import console, plain, print_json, say, styled_status, table
from producer.spot_checks import sentences

if TYPE_CHECKING:
    from producer.intervals import Share
    from producer.reports import Report

_NUMBERS = ["items", "share", "interval"]


@expanded
def command(  # noqa: PLR0913 - each is an option of its own
    run: options.Run,
    *,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page for a browser, too, with figures and some items."),
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option(
            "--card", metavar="FILE", help="Write the card of a data set, too, in the form of the Hugging Face hub."
        ),
    ] = None,
    look_over: Annotated[
        bool,
        typer.Option("--look-over", help="First flag what only the whole run shows: stock answers, near pictures."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace these files if they exist.")] = False,
    where: options.Where,
    as_json: options.AsJson = False,
) -> None:
    """Show what a run comes to: how often the rule is kept, flags, reasons, reviews, and what has answered.

    Each share has the interval in which the true one lies 19 times out of 20. It reads the whole run, and can be asked
    for at any time. A card has places for what only people know, such as licences; `export --format hf` puts one beside
    the data by itself.

    Examples:
        persqa report portraits
        persqa report portraits --look-over
        persqa report portraits --html portraits.html --card README.md
    """
    with where.client() as client:
        handle = client.run(run)
        looked = handle.look_over() if look_over else None
        report = handle.report()
        if html is not None:
            handle.write_report(html, overwrite=overwrite, report=report)
        if card is not None:
            handle.write_card(card, overwrite=overwrite, report=report)
    written = [str(file) for file in (html, card) if file is not None]
    if as_json:
        done = {} if looked is None else {"look_over": {"flags_set": looked.added, "flags_taken_back": looked.removed}}
        print_json({**_facts(report), **done, "files": written})
        return
    if looked is not None:
        say(f"looked over: {counted(looked.added, 'flag')} set, {looked.removed} taken back")
    _print(report)
    for file in written:
        say(f"written: {plain(file)}")


def _facts(report: Report) -> dict[str, object]:
    summary = report.summary
    return {
        "run": report.run.name,
        "state": report.progress.state,
        **report.progress.counts,
        "records": summary.records,
        "answers": summary.answers,
        "stopped": None if report.progress.stop is None else str(report.progress.stop),
        "questions": [
            {
                "topic": one.topic,
                "answers": one.judged,
                "first_try": one.first,
                "asked_again": one.repaired,
                "tag_written": one.forced,
                "broken": one.broken,
                "by_itself": _share(report.by_itself(one)),
            }
            for one in summary.questions
        ],
        "reasons": [
            {"status": status, "reason": reason, "items": n} for (status, reason), n in report.reasons().items()
        ],
        "violations": dict(report.kinds),
        "flags": {flag: _share(found) for flag, found in report.flags().items()},
        "spot_checks": {**asdict(report.checked), "sentences": sentences(report.checked)},
        "reviews": dict(summary.reviews),
        "requeued": summary.requeued,
        "output_tokens": summary.output_tokens,
        "items_per_second": report.items_per_second,
        "models": dict(summary.models),
        "provenance": [
            {
                "model": one.model,
                "revision": one.revision or None,
                "files": one.files or None,
                "engine": one.engine,
                "persqa": one.version,
            }
            for one in summary.provenances
        ],
    }


def _share(found: Share | None) -> dict[str, float] | None:
    if found is None:
        return None
    return {"items": found.part, "share": found.value, "low": found.low, "high": found.high}


def _print(report: Report) -> None:
    progress = report.progress
    if progress.stop is not None:
        say(f"[yellow]{plain(report.run.name)}: {plain(progress.stop)}[/]")
    counts = table(["status", *_NUMBERS], keys=["status"], numbers=_NUMBERS)
    for status, found in report.by_status().items():
        counts.add_row(styled_status(status), f"{found.part:,}", str(found), found.between)
    if progress.pending:
        counts.add_row(styled_status("pending"), f"{progress.pending:,}", "", "")
    console.print(counts, "")
    if report.is_judged:
        _print_questions(report)
    if flags := report.flags():
        flagged = table(["flag", *_NUMBERS], keys=["flag"], numbers=_NUMBERS)
        for flag, found in flags.items():
            flagged.add_row(plain(flag), f"{found.part:,}", str(found), found.between)
        console.print(flagged, "")
    for sentence in sentences(report.checked):
        say(f"spot check {plain(sentence)}")
    _print_counts(report)
    _print_origin(report)


def _print_counts(report: Report) -> None:
    for what, number in {
        "why items are not ok": {f"{reason} ({status})": n for (status, reason), n in report.reasons().items()},
        "generations that broke the rule": report.kinds,
        "reviews": report.summary.reviews,
    }.items():
        if number:
            say(f"{what}: {', '.join(f'{plain(name)} {n:,}' for name, n in number.items())}")


def _print_questions(report: Report) -> None:
    numbers = ["answers", "by itself", "interval", "in the end"]
    shown = table(["question", *numbers], numbers=numbers)
    for one in report.summary.questions:
        if one.judged:
            found, kept = report.by_itself(one), (one.judged - one.broken) / one.judged
            itself = ("unknown", "") if found is None else (str(found), found.between)
            shown.add_row(plain(one.topic), f"{one.judged:,}", *itself, f"{100 * kept:.1f} %")
    if shown.row_count:
        console.print(shown)
        say("by itself: the model wrote the tag, at first or when it was asked again")
        say("in the end: also the answers for which the tag was written")
        console.print("")


def _print_origin(report: Report) -> None:
    from producer.reports import origin

    summary, rate = report.summary, report.items_per_second
    speed = f", {rate:.1f} items/s from the first answer to the last" if rate else ""
    tokens = f"{summary.output_tokens / summary.answers:.0f} tokens an answer" if summary.answers else "no answer yet"
    say(f"{counted(summary.records, 'record')}, {counted(summary.answers, 'answer')}, {tokens}{speed}")
    for model, said in origin(report).items():
        say(f"answered by {plain(model)}: {plain(said)}")
