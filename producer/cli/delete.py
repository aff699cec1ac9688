"""`persqa delete`: a run and all that belongs to it, for good."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from persqa.errors import SettingsError
from persqa.words import counted, to_type
from producer.cli import options
from producer.cli.expanding import expanded
from producer.cli.printing import notes, plain, print_json, say

if TYPE_CHECKING:
    from persqa.deletion import Contents
    from producer import RunHandle


@expanded
def command(
    run: options.Run,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts.")] = False,
    where: options.Where,
    as_json: options.AsJson = False,
) -> None:
    """Delete a run for good, after saying what that means and asking.

    Its items, results, earlier results, violations and reviews go, its messages in the queue, and the images in the
    blob store that no other run refers to. What the user has stays: inputs, images, exports. Workers drop what they
    have in hand. Safe to repeat: after Ctrl-C the same command goes on where it stopped.

    Examples:
        persqa delete portraits
        persqa delete portraits --yes --json
    """
    with where.client() as client:
        handle = client.run(run)
        client.store.refuse_unwritable()
        if not (yes and as_json):
            _announce(handle, handle.contents())
        if not yes and not _sure(handle.name):
            say("nothing was deleted", to=notes)
            raise typer.Exit(1)
        done = _delete(handle)
    if as_json:
        print_json({"run": handle.name, **asdict(done)})
        return
    say(f"{plain(handle.name)} is deleted: {_listed(done, 'taken out of the queue')}")
    if done.kept is not None:
        say(f"its images in the blob store stay: {plain(done.kept)}")


def _announce(handle: RunHandle, found: Contents) -> None:
    progress = handle.progress()
    state = "is being deleted" if handle.run.deleting else f"is {progress.state}"
    say(f"{plain(handle.name)} {state}, with {counted(progress.pending, 'pending item')}", to=notes)
    say(f"to be deleted: {_listed(found, 'in the queue or with a worker')}", to=notes)
    if found.kept is not None:
        say(f"its images in the blob store stay: {plain(found.kept)}", to=notes)


def _sure(name: str) -> bool:
    """Ask.

    Raises:
        SettingsError: nobody is there to answer.
    """
    if not sys.stdin.isatty():
        raise SettingsError(
            f"nothing was deleted: nobody can be asked here, so say {to_type(f'persqa delete {name} --yes')}"
        )
    return typer.confirm("delete it for good?", err=True)


def _delete(handle: RunHandle) -> Contents:
    with Progress(console=notes, transient=True, disable=not notes.is_terminal) as bar:
        task = bar.add_task("deleting", total=handle.progress().submitted)
        try:
            return handle.delete(on_step=lambda items: bar.advance(task, items))
        except KeyboardInterrupt:
            say(f"deleted in part: {plain(to_type(f'persqa delete {handle.name}'))} goes on from there", to=notes)
            raise


def _listed(found: Contents, where: str) -> str:
    """What there is; what there is none of is left out."""
    images = 0 if found.kept is not None else found.blobs
    counts = [
        (found.items, "item", "items"),
        (found.results, "result", "results"),
        (found.earlier, "earlier result", "earlier results"),
        (found.violations, "violation", "violations"),
        (found.reviews, "review", "reviews"),
        (found.messages or 0, f"message {where}", f"messages {where}"),
        (images, "image of the blob store", "images of the blob store"),
    ]
    return ", ".join(counted(*one) for one in counts if one[0]) or "nothing else"
