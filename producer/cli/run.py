"""`persqa run`: everything on this machine."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

import typer

from persqa.models import DEMO_MODEL, DEMO_POOL, questions_unknown_to_demo
from persqa.questions import QuestionPool, load_pool
from persqa.results import Status
from persqa.urls import without_password
from persqa.words import counted, to_type
from producer.cli import options
from producer.cli.engine_flags import EngineFlags
from producer.cli.expanding import expanded
from producer.cli.printing import (
    console,
    flags_table,
    image,
    notes,
    plain,
    print_json,
    say,
    styled_status,
    table,
)
from producer.cli.results import once_each
from producer.cli.submit import EXIT_FRUITLESS, full_queue_note, report_submission, submission_dict, warn_if_fruitless
from producer.cli.submit_flags import SubmitFlags

if TYPE_CHECKING:
    from collections.abc import Generator

    from producer import Client, RunHandle
    from producer.web.server import Server

_SHOWN_PAIRS = 12


@expanded
def command(  # noqa: PLR0913 - each is an option of its own
    data: options.Input,
    *,
    flags: SubmitFlags,
    engine: EngineFlags,
    image_roots: options.ImageRoots = None,
    where: options.Where,
    ui: options.Ui = False,
    as_json: options.AsJson = False,
) -> None:
    """Ask questions about every image of INPUT, all on this machine.

    It brings a broker of its own, unless one is named, starts one worker, keeps the answers in SQLite, unless another
    database is named, and ends when every item has a result: with exit code 0 when the audit holds and at least one
    item is ok, with 5 when none is, and with 4 when the run is cancelled or pauses itself by --stop-if.

    Safe to repeat: what has a result is not asked again, and after Ctrl-C the same command goes on where it stopped.

    Examples:
        persqa run faces/faces.jsonl --questions-per-image 4
        persqa run photos/ --tag anna --pool questions.txt
        persqa run people.csv --image-column photo --id-column key
    """
    settings = where.settings(
        model=flags.model,
        engine_args=engine.arguments(),
        model_pixels=engine.model_pixels,
        image_roots=image_roots,
    )
    from producer import Client

    started = datetime.now(UTC)
    with _until_stopped(Client(settings, local_worker=True)) as client, _gallery(client, wanted=ui) as gallery:
        with notes.status("reading the input and enqueueing its items; a broker starts if none is named"):
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
                f"stopped with {done.pending} of {counted(done.submitted, 'item')} to go; "
                "what is in flight is finished, the same command goes on from there"
            )
            raise
        holds = _summarize(handle, started, as_json=as_json)
        fruitless = warn_if_fruitless(handle, handle.progress())
        if gallery is not None:
            say(f"the gallery goes on at [link]{plain(gallery.address)}[/link], until Ctrl-C", to=notes)
            gallery.wait()
        elif not as_json:
            say(f"look at them: {plain(to_type('persqa ui'))}")
    if fruitless or not holds:
        raise typer.Exit(EXIT_FRUITLESS if holds else 1)


@contextmanager
def _until_stopped(client: Client) -> Generator[Client]:
    """Close the client at the end, and say what its user waits for then."""
    try:
        yield client
    finally:
        fleet = client.fleet
        if fleet is None or fleet.worker_pid is None or fleet.settings.broker_url is None:
            client.close()
        else:
            from producer.cli.stopping import Stopping

            url, most = fleet.settings.broker_url, fleet.most_stop_seconds
            with notes.status(Stopping(url, worker=fleet.worker_pid, most_seconds=most)):
                client.close()


@contextmanager
def _gallery(client: Client, *, wanted: bool) -> Generator[Server | None]:
    """The gallery, where it is wanted, and its address before anything else."""
    if not wanted:
        yield None
        return
    from producer.cli.ui import gallery

    with gallery(client) as server:
        say(f"{server.elsewhere}the gallery is at [link]{plain(server.address)}[/link]", to=notes)
        yield server


def _say_what_demo_knows(pool: QuestionPool) -> None:
    """Warn that the demo model answers questions that it was not trained on, too."""
    known = f"It knows drawn portraits (persqa demo-data) and the questions of the pool {DEMO_POOL}, nothing else"
    say(f"model: {DEMO_MODEL}, the small one that ships with PersQA. {known}; --model NAME chooses another.", to=notes)
    if unknown := questions_unknown_to_demo(pool):
        questions = counted(len(pool.questions), "question")
        share = f"{len(unknown)} of the {questions} of the pool {plain(pool.name)}"
        say(
            f"[yellow]warning:[/] it was not trained on {share}, and what it answers to them means nothing, "
            f"for instance to: {plain(unknown[0])}",
            to=notes,
        )


def _summarize(handle: RunHandle, started: datetime, *, as_json: bool) -> bool:
    progress, audit = handle.progress(), handle.audit()
    kinds, rate = handle.violation_kinds(), handle.rate(since=started)
    if as_json:
        print_json(
            {
                "run": handle.name,
                **submission_dict(handle),
                **progress.counts,
                "violations": kinds,
                "flags": handle.flags(),
                "items_per_second": round(rate, 2) if rate else None,
                "database": without_password(handle.database_url),
                "audit_holds": audit.holds,
            }
        )
        return audit.holds
    _print_pairs(handle)
    counts = table(["status", "items"], keys=["status"], numbers=["items"])
    for status, number in progress.ended.items():
        counts.add_row(styled_status(status), str(number))
    console.print(counts, "")
    if kinds:
        broken = table(["broken tag rule", "generations"], keys=["broken tag rule"], numbers=["generations"])
        for kind, number in kinds.items():
            broken.add_row(kind, str(number))
        console.print(broken, "")
    if flags := handle.flags():
        console.print(flags_table(flags, progress.ended[Status.OK] + progress.ended[Status.NONCOMPLIANT]), "")
    speed = f"{rate:.1f} items/s from the start of this command to the last answer, " if rate else ""
    say(f"{speed}database {without_password(handle.database_url)}")
    for problem in audit.problems:
        say(f"[red]audit:[/] {plain(problem)}")
    if audit.holds:
        all_items = "the one item" if progress.submitted == 1 else f"all {progress.submitted} items"
        console.print(f"audit: {all_items} accounted for")
    return audit.holds


def _print_pairs(handle: RunHandle) -> None:
    """Print the first few pairs."""
    shown = table(["image", "question", "status", "answer"], names=["image"], keys=["status"])
    rows = once_each(handle.results())
    for row in islice(rows, _SHOWN_PAIRS):
        said = row.detail if row.answer is None else row.answer
        shown.add_row(image(row.image), plain(row.question), styled_status(row.status), plain(said))
    console.print(shown)
    if next(rows, None) is not None:
        say(f"[dim]... all of them: {plain(to_type(f'persqa results {handle.name} --limit 0'))}[/]")
    console.print()
