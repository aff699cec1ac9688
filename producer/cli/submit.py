"""`persqa submit`: put a run into the queue."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from persqa.errors import BrokerUnavailable
from persqa.required import require_broker
from persqa.settings import Settings
from persqa.variables import variable
from persqa.words import counted, to_type
from producer.cli import options
from producer.cli.expanding import expanded
from producer.cli.printing import notes, plain, print_json, say
from producer.cli.submit_flags import SubmitFlags
from producer.readers.passed import in_words

if TYPE_CHECKING:
    from persqa.pairs import Cause
    from persqa.progress import Progress
    from producer import Client, RunHandle

#: Every item has ended, and none is `ok`.
EXIT_FRUITLESS = 5


@expanded
def command(
    data: options.Input,
    *,
    flags: SubmitFlags,
    wait: options.Wait = False,
    where: options.Where,
    as_json: options.AsJson = False,
) -> None:
    """Put a run into the queue, for workers that run elsewhere.

    Safe to repeat: only what has no result and is not in the queue is enqueued. Exit code 5 says that every item has
    ended and none is ok. An input that cannot be read, or of which no record can be used, ends with exit code 2, before
    anything is written.

    Examples:
        persqa submit people.jsonl --broker-url redis://localhost:6379/0
        persqa submit photos/ --run holiday --priority high --wait
    """
    settings = where.settings(model=flags.model)
    require_broker(settings)
    from producer import Client

    with Client(settings) as client:
        with notes.status("reading the input and enqueueing its items"):
            handle = client.submit(data, on_full=full_queue_note(settings, "submit"), **flags.given())
        if as_json:
            print_json({"run": handle.name, **submission_dict(handle)})
        else:
            report_submission(handle)
        say_who_is_missing(client, handle)
        if warn_if_fruitless(handle, handle.wait() if wait else handle.progress()):
            raise typer.Exit(EXIT_FRUITLESS)


def warn_if_fruitless(handle: RunHandle, progress: Progress) -> bool:
    """Whether no item of a run that has ended is `ok`; then say so on standard error, and why: it is no success."""
    if progress.fruitless:
        from producer.progress import counts_text

        why = "" if (cause := handle.main_cause()) is None else _why(cause, handle, progress.submitted)
        say(f"[red]no item is ok:[/] {counts_text(progress)}{why}", to=notes)
    return progress.fruitless


def _why(cause: Cause, handle: RunHandle, submitted: int) -> str:
    """The most frequent reason, and what to do about it, as parts of a sentence."""
    most = "each time" if cause.items == submitted else f"most often ({cause.items} times)"
    # What has just been said of a record is not said again.
    said = handle.submission is not None and cause.example in handle.submission.first_errors
    example = "" if cause.example is None or said else f", as in: {plain(cause.example)}"
    wrong_records = handle.submission is not None and handle.submission.invalid == submitted
    again = "submit it again" if wrong_records else to_type(f"persqa requeue {handle.name} --status {cause.status}")
    return f"; {most} {cause.reason or cause.status}{example}; after mending it: {again}"


def say_who_is_missing(client: Client, handle: RunHandle) -> None:
    """Warn that no worker is there, or none serves the model that the run names; one may come later."""
    model, url = handle.run.options.model, client.settings.broker_url
    if url is None or handle.progress().pending == 0:
        return
    from persqa.broker.workers import live_workers, unserved

    # What is enqueued stays so, whoever answers now.
    with suppress(BrokerUnavailable):
        if sentence := unserved(model, live_workers(url), client.store.ledger.id):
            say(f"[yellow]warning:[/] {plain(sentence)}", to=notes)


def full_queue_note(settings: Settings, command: str) -> Callable[[], None]:
    """Returns what prints once that the queue is full, for the command that fills it."""
    told = False

    def on_full() -> None:
        nonlocal told
        if not told:
            told = True
            most = f"{settings.queue_bound} items wait in the queue ({variable('queue_bound')})"
            full = f"{most}, or Redis' memory is full"
            message = f"{full}: the rest follows as workers take what is there"
            say(f"{message}; Ctrl-C is safe, the same {command} goes on from there", to=notes)

    return on_full


def submission_dict(handle: RunHandle) -> dict[str, object]:
    """What a submit did, for scripts."""
    submission = handle.submission
    assert submission is not None
    return {
        "records": submission.records,
        "enqueued": submission.enqueued,
        "invalid": submission.invalid,
        **({} if submission.reused is None else {"reused": submission.reused}),
        "passed_over": [asdict(one) for one in submission.passed_over],
    }


def report_submission(handle: RunHandle) -> None:
    """Print on standard error what a submit did."""
    submission = handle.submission
    assert submission is not None
    progress = handle.progress()
    ended = counted(sum(progress.ended.values()), "has a result", "have a result")
    items = counted(progress.submitted, "item")
    if submission.replaced:
        say(f"the run {handle.name} that was here had no answer yet, and this one takes its place", to=notes)
    say(f"run [bold]{handle.name}[/]: {items}, {ended}, {submission.enqueued} enqueued", to=notes)
    if submission.reused is not None:
        say(f"{counted(submission.reused, 'answer')} taken from the other run", to=notes)
    if submission.passed_over:
        say(f"passed over: {plain(in_words(submission.passed_over))}", to=notes)
    for error in submission.first_errors:
        say(f"  [magenta]invalid[/] {plain(error)}", to=notes)
    if submission.invalid > len(submission.first_errors):
        more = submission.invalid - len(submission.first_errors)
        look = plain(to_type(f"persqa results {handle.name} --status invalid"))
        say(f"  [magenta]invalid[/] {counted(more, 'more record')}: {look}", to=notes)
