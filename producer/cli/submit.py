"""`persqa submit`: put a run into the queue."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from persqa.errors import BrokerUnavailable
from persqa.settings import Settings, require_broker
from producer.cli import options
from producer.cli.expanding import expanded
from producer.cli.printing import notes, plain, print_json, say

if TYPE_CHECKING:
    from persqa.progress import Progress
    from producer import RunHandle


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

    Safe to repeat: only what has no result and is not in the queue is enqueued. With --wait, exit code 1 says that no
    item is ok in the end.

    Example: persqa submit portraits.jsonl --broker-url redis://localhost:6379/0
    """
    settings = where.settings(model=flags.model)
    require_broker(settings)
    from producer import Client

    with Client(settings) as client:
        handle = client.submit(data, on_full=full_queue_note(settings, "submit"), **flags.given())
        if as_json and handle.submission is not None:
            submission = handle.submission
            print_json({"run": handle.name, "enqueued": submission.enqueued, "invalid": submission.invalid})
        else:
            report_submission(handle)
        _say_who_is_missing(handle, settings)
        if wait and warn_if_fruitless(handle, handle.wait()):
            raise typer.Exit(1)


def warn_if_fruitless(handle: RunHandle, progress: Progress) -> bool:
    """Whether no item of a run that has ended is `ok`; then say so on standard error, as it is no success."""
    if progress.fruitless:
        from producer.progress import counts_text

        look = f"persqa results {handle.name}"
        say(f"[red]no item is ok:[/] {counts_text(progress)}; the reasons: {look}, {look} --violations", to=notes)
    return progress.fruitless


def _say_who_is_missing(handle: RunHandle, settings: Settings) -> None:
    """Warn that no worker serves the model that the run names; one may come later."""
    model, url = handle.run.options.model, settings.broker_url
    if model is None or url is None or handle.progress().pending == 0:
        return
    from persqa.broker.workers import live_workers, unserved

    # What is enqueued stays so, whoever answers now.
    with suppress(BrokerUnavailable):
        if sentence := unserved(model, live_workers(url)):
            say(f"[yellow]warning:[/] {plain(sentence)}", to=notes)


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
