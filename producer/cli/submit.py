"""`persqa submit`: put a run into the queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from persqa.settings import Settings, require_broker
from producer import Client, RunHandle
from producer.cli import options
from producer.cli.expanding import expanded
from producer.cli.printing import notes, plain, print_json, say


@expanded
def command(
    data: options.Input,
    *,
    flags: options.SubmitFlags,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until every item has a result.")] = False,
    where: options.Where,
    as_json: options.AsJson = False,
) -> None:
    """Enqueue a run for workers that run elsewhere.

    Safe to repeat: only what has no result and is not in the queue is enqueued.

    Example: persqa submit portraits.jsonl --broker-url redis://localhost:6379/0
    """
    settings = where.settings(model=flags.model)
    require_broker(settings)
    with Client(settings) as client:
        handle = client.submit(data, on_full=full_queue_note(settings, "submit"), **flags.given())
        if as_json and handle.submission is not None:
            submission = handle.submission
            print_json({"run": handle.name, "enqueued": submission.enqueued, "invalid": submission.invalid})
        else:
            report_submission(handle)
        if wait:
            handle.wait()


def full_queue_note(settings: Settings, command: str) -> Callable[[], None]:
    """Returns what prints once that the queue is full, for the command that fills it."""
    told = False

    def on_full() -> None:
        nonlocal told
        if not told:
            told = True
            full = f"{settings.queue_bound} items wait in the queue, or Redis' memory is full"
            message = f"{full}: the rest follows as workers take what is there"
            notes.print(f"{message}; Ctrl-C is safe, the same {command} goes on from there")

    return on_full


def report_submission(handle: RunHandle) -> None:
    """Print on standard error what a submit did."""
    submission = handle.submission
    assert submission is not None
    progress = handle.progress()
    ended = sum(progress.ended.values())
    notes.print(
        f"run [bold]{handle.name}[/]: {progress.submitted} items, {ended} have a result, "
        f"{submission.enqueued} enqueued",
        highlight=False,
    )
    for error in submission.first_errors:
        say(f"  [magenta]invalid[/] {plain(error)}", to=notes)
    if submission.invalid > len(submission.first_errors):
        more = submission.invalid - len(submission.first_errors)
        notes.print(f"  [magenta]invalid[/] and {more} more: persqa results {handle.name} --status invalid")
