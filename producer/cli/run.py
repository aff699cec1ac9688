"""`persqa run`: everything on this machine."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

import typer

from persqa.models import DEMO_MODEL, DEMO_POOL, questions_unknown_to_demo
from persqa.questions import QuestionPool, load_pool
from persqa.urls import without_password
from producer.cli import options
from producer.cli.expanding import expanded
from producer.cli.printing import console, image, notes, plain, print_json, progress_dict, say, styled_status, table
from producer.cli.submit import full_queue_note, report_submission, warn_if_fruitless

if TYPE_CHECKING:
    from collections.abc import Generator

    from producer import Client, RunHandle

_SHOWN_PAIRS = 12


@expanded
def command(
    data: options.Input,
    *,
    flags: options.SubmitFlags,
    engine_args: options.EngineArgs = None,
    image_roots: options.ImageRoots = None,
    where: options.Where,
    as_json: options.AsJson = False,
) -> None:
    """Do everything on this machine: embedded broker (unless one is named), one worker, SQLite.

    Ends when every item has a result; exit code 0 when the audit holds and at least one item is ok. Safe to repeat:
    what has a result is not asked again, and after Ctrl-C the same command goes on where it stopped.

    Example: persqa run portraits.jsonl --tag mam --questions-per-image 2
    """
    settings = where.settings(
        model=flags.model, engine_args=options.json_object(engine_args, "--engine-args"), image_roots=image_roots
    )
    from producer import Client

    started = datetime.now(UTC)
    with _until_stopped(Client(settings, local_worker=True)) as client:
        handle = client.submit(data, on_full=full_queue_note(settings, "run"), **flags.given())
        if not as_json:
            report_submission(handle)
        if client.fleet and client.fleet.settings.model == DEMO_MODEL:
            _say_what_demo_knows(load_pool(handle.run.options.pool))
        try:
            handle.wait()
        except KeyboardInterrupt:
            done = handle.progress()
            console.print(
                f"stopped with {done.pending} of {done.submitted} items to go; "
                "what is in flight is finished, the same command goes on from there"
            )
            raise
        holds = _summarize(handle, started, as_json=as_json)
        fruitless = warn_if_fruitless(handle, handle.progress())
    if fruitless or not holds:
        raise typer.Exit(1)


@contextmanager
def _until_stopped(client: Client) -> Generator[Client]:
    """Close the client at the end, and say what its user waits for then."""
    try:
        yield client
    finally:
        with notes.status("stopping the worker: it finishes what it has begun"):
            client.close()


def _say_what_demo_knows(pool: QuestionPool) -> None:
    """Warn that the demo model answers questions that it was not trained on, too."""
    known = f"drawn portraits (persqa demo-data) and the questions of the pool {DEMO_POOL}"
    say(f"model: {DEMO_MODEL}, the small one that ships with PersQA; it knows {known}; another: --model NAME", to=notes)
    if unknown := questions_unknown_to_demo(pool):
        share = f"{len(unknown)} of the {len(pool.questions)} questions of the pool {plain(pool.name)}"
        say(
            f"[yellow]warning:[/] it was not trained on {share}, and what it answers to them means nothing, "
            f"for instance to: {plain(unknown[0])}",
            to=notes,
        )


def _summarize(handle: RunHandle, started: datetime, *, as_json: bool) -> bool:
    progress, audit = handle.progress(), handle.audit()
    kinds, throughput = handle.violation_kinds(), handle.throughput(since=started)
    if as_json:
        print_json(
            {
                "run": handle.name,
                **progress_dict(progress),
                "violations": kinds,
                "items_per_second": round(throughput, 2),
                "database": without_password(handle.database_url),
                "audit_holds": audit.holds,
            }
        )
        return audit.holds
    _print_pairs(handle)
    counts = table(["status", "items"], numbers=["items"])
    for status, number in progress.ended.items():
        counts.add_row(styled_status(status), str(number))
    console.print(counts, "")
    if kinds:
        broken = table(["broken tag rule", "generations"], numbers=["generations"])
        for kind, number in kinds.items():
            broken.add_row(kind, str(number))
        console.print(broken, "")
    speed = f"{throughput:.1f} items/s, " if throughput else ""
    say(f"{speed}database {without_password(handle.database_url)}")
    for problem in audit.problems:
        console.print(f"[red]audit:[/] {plain(problem)}", soft_wrap=True)
    if audit.holds:
        console.print(f"audit: all {progress.submitted} items accounted for")
    return audit.holds


def _print_pairs(handle: RunHandle) -> None:
    """Print the first few pairs."""
    shown = table(["image", "question", "status", "answer"])
    rows = handle.results()
    for row in islice(rows, _SHOWN_PAIRS):
        said = row.detail if row.answer is None else row.answer
        shown.add_row(image(row.image), plain(row.question), styled_status(row.status), plain(said))
    console.print(shown)
    if next(rows, None) is not None:
        console.print(f"[dim]... all of them: persqa results {handle.name} --limit 0[/]")
    console.print()
