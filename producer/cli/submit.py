"""`persqa submit`: put a run into the queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from persqa.settings import Settings, load_settings, require_broker
from producer import Client, RunHandle
from producer.cli import options
from producer.cli.printing import notes, plain, print_json


def command(  # noqa: PLR0913 - one parameter an option
    data: options.Input,
    run: options.RunName = None,
    input_format: options.InputFormat = None,
    split: options.Split = None,
    image_column: options.ImageColumn = None,
    id_column: options.IdColumn = None,
    tag: options.TagOption = None,
    tag_policy: options.TagPolicy = None,
    pool: options.Pool = None,
    questions_per_image: options.QuestionsPerImage = None,
    seed: options.Seed = None,
    model: options.Model = None,
    sampling: options.SamplingOption = None,
    strict: options.Strict = False,
    recheck: options.Recheck = False,
    priority: options.Priority = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until every item has a result.")] = False,
    broker_url: options.BrokerUrl = None,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
) -> None:
    """Enqueue a run for workers that run elsewhere.

    Safe to repeat: only what has no result and is not in the queue is enqueued.

    Example: persqa submit portraits.jsonl --broker-url redis://localhost:6379/0
    """
    settings = load_settings(broker_url=broker_url, database_url=database_url, model=model)
    require_broker(settings)
    with Client(settings) as client:
        handle = client.submit(
            data,
            run=run,
            input_format=input_format,
            split=split,
            image_column=image_column,
            id_column=id_column,
            strict=strict,
            recheck=recheck,
            priority=priority,
            on_full=full_queue_note(settings, "submit"),
            tag=tag,
            tag_policy=tag_policy,
            pool=pool,
            questions_per_image=questions_per_image,
            seed=seed,
            sampling=options.json_object(sampling, "--sampling"),
        )
        if as_json and handle.submission is not None:
            submission = handle.submission
            print_json({"run": handle.name, "enqueued": submission.enqueued, "invalid": submission.invalid})
        else:
            report_submission(handle)
        if wait:
            handle.wait()


def full_queue_note(settings: Settings, command: str) -> Callable[[], None]:
    """Says once that the queue is full, and what that means for the command that fills it."""
    told = False

    def on_full() -> None:
        nonlocal told
        if not told:
            told = True
            message = f"{settings.queue_bound} items wait in the queue, the rest follows as workers take them"
            notes.print(f"{message}; Ctrl-C is safe, the same {command} goes on from there")

    return on_full


def report_submission(handle: RunHandle) -> None:
    """Say what a submit did, on standard error."""
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
        notes.print(f"  [magenta]invalid[/] {plain(error)}", highlight=False, soft_wrap=True)
    if submission.invalid > len(submission.first_errors):
        more = submission.invalid - len(submission.first_errors)
        notes.print(f"  [magenta]invalid[/] and {more} more: persqa results {handle.name} --status invalid")
