"""`persqa submit`: put a run into the queue."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from persqa.additions import Added
from persqa.blobs import BlobStore
from persqa.errors import BrokerUnavailable, SettingsError
from persqa.required import require_broker
from persqa.settings import Settings
from persqa.variables import variable
from persqa.words import counted, listed, option, to_type
from producer.cli import options
from producer.cli.append_flags import AppendFlags
from producer.cli.expanding import expanded
from producer.cli.printing import notes, plain, print_json, say
from producer.cli.submit_flags import SubmitFlags
from producer.options import GivenOpenOptions
from producer.readers import open_input
from producer.readers.passed import in_words

if TYPE_CHECKING:
    from persqa.pairs import Cause
    from persqa.progress import Progress
    from producer import Client, RunHandle
    from producer.options import GivenSubmitOptions

#: Options that an open run has no use for.
_OF_DATA_SETS = ("run", "strict", "recheck", "reuse", "limit", "sample")
#: Not all records were added: others have their keys.
EXIT_REFUSED = 1
#: Every item has ended, and none is `ok`.
EXIT_FRUITLESS = 5


@expanded
def command(
    data: options.Input,
    *,
    flags: SubmitFlags,
    added: AppendFlags,
    wait: options.Wait = False,
    where: options.Where,
    as_json: options.AsJson = False,
) -> None:
    """Put a run into the queue, for workers that run elsewhere.

    Safe to repeat: only what has no result and is not in the queue is enqueued. Exit code 5 says that every item has
    ended and none is ok. An input that cannot be read, or of which no record can be used, ends with exit code 2, before
    anything is written.

    With --append, records are added to a run that stays open: each once, wrong ones too. Exit code 1 says that some
    were refused, since others have their keys.

    Examples:
        persqa submit people.jsonl --broker-url redis://localhost:6379/0
        persqa submit photos/ --run holiday --priority high --wait
        persqa submit today.jsonl --append camera --key id
    """
    settings = where.settings(model=flags.model)
    require_broker(settings)
    from producer import Client

    if added.append is None and (added.key is not None or added.replace):
        raise SettingsError("--key and --replace are for an open run: name it with --append")
    with Client(settings) as client:
        if added.append is not None:
            raise typer.Exit(add_input(client, data, flags, added, wait=wait, as_json=as_json))
        with notes.status("reading the input and enqueueing its items"):
            handle = client.submit(data, on_full=full_queue_note(settings, "submit"), **flags.given())
        if as_json:
            print_json({"run": handle.name, **submission_dict(handle)})
        else:
            report_submission(handle)
        say_who_is_missing(client, handle)
        if warn_if_fruitless(handle, handle.wait() if wait else handle.progress()):
            raise typer.Exit(EXIT_FRUITLESS)


def add_input(client: Client, data: str, flags: SubmitFlags, added: AppendFlags, *, wait: bool, as_json: bool) -> int:
    """Add an input to an open run, and print what became of it; returns the exit code."""
    given = flags.given()
    if others := [name for name in _OF_DATA_SETS if given.get(name)]:
        raise SettingsError(
            f"--append: {listed(map(option, others), 'and')} is for a data set that is a run of its own"
        )
    # What is not said stays as the run has it.
    said = {name: value for name, value in given.items() if name in GivenOpenOptions.__annotations__ and value}
    base = given.get("image_base") or _folder(client.settings, data, given)
    opened = cast("GivenOpenOptions", {**said, "image_base": base, "key": added.key})
    handle = client.open_run(str(added.append), **opened)
    with notes.status("reading the input, and adding its records"):
        done = handle.append(
            data,
            replace=added.replace,
            input_format=given.get("input_format"),
            split=given.get("split"),
            on_full=full_queue_note(client.settings, "submit"),
        )
    if as_json:
        became = {str(one): number for one, number in done.became.items()}
        print_json({"run": handle.name, "records": done.records, **became, "invalid": done.invalid})
    else:
        became = ", ".join(f"{number} {one}" for one, number in done.became.items() if number)
        say(f"run [bold]{plain(handle.name)}[/]: {counted(done.records, 'record')}, {became}", to=notes)
        for error in done.first_errors:
            say(f"  [magenta]wrong[/] {plain(error)}", to=notes)
    say_who_is_missing(client, handle)
    if done.became[Added.REFUSED]:
        say("[red]some were refused:[/] other records of their keys are there; --replace takes the new ones", to=notes)
    if wait and warn_if_fruitless(handle, handle.wait()):
        return EXIT_FRUITLESS
    return EXIT_REFUSED if done.became[Added.REFUSED] else 0


def _folder(settings: Settings, data: str, given: GivenSubmitOptions) -> Path:
    """The folder where relative image paths of an input start."""
    if data == "-":
        return Path.cwd()
    blobs, form, split = BlobStore(settings.blob_store), given.get("input_format"), given.get("split")
    return open_input(data, blobs=blobs, input_format=form, split=split).base


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
