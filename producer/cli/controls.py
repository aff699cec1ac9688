"""`persqa pause`, `resume`, `cancel`, `close`, `priority` and `rename`: what people do to a run after its submit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from persqa.runs import Priority, RunState
from persqa.words import counted, to_type
from producer.cli import options
from producer.cli.completing import one_of
from producer.cli.expanding import expanded
from producer.cli.printing import console, plain, print_json, say
from producer.cli.submit import full_queue_note
from producer.fleet_state import fleet_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from producer import RunHandle


@expanded
def pause(run: options.Run, *, where: options.Where, as_json: options.AsJson = False) -> None:
    """Begin nothing more of a run until it is resumed.

    Workers finish what they have begun. Its messages are taken out of the queue, and a submit of it that is under way
    ends. Whoever waits for the run goes on waiting. Safe to repeat. A run that is done cannot be paused.

    Examples:
        persqa pause portraits
        persqa pause portraits --broker-url redis://localhost:6379/0
    """
    _stop(run, "to go on", lambda handle: handle.pause(), where=where, as_json=as_json)


@expanded
def cancel(run: options.Run, *, where: options.Where, as_json: options.AsJson = False) -> None:
    """Give a run up, and tell whoever waits for it.

    Workers begin nothing more of it, and finish what they have begun. What has a result keeps it, and can be looked at
    and exported. Its messages are taken out of the queue; `run`, `submit` and whatever else waits for it ends with exit
    code 4. Safe to repeat. A run that is done cannot be cancelled.

    Examples:
        persqa cancel portraits
        persqa cancel portraits --broker-url redis://localhost:6379/0
    """
    _stop(run, "to take it up again all the same", lambda handle: handle.cancel(), where=where, as_json=as_json)


@expanded
def close(run: options.Run, *, where: options.Where, as_json: options.AsJson = False) -> None:
    """Let nothing more be added to an open run: it is done when all that it has is answered.

    Whoever waits for the run, or follows its results, comes to an end then. Safe to repeat, and not to be undone.

    Examples:
        persqa close camera
        persqa close camera --json
    """
    with where.client() as client:
        handle = client.open_run(client.run(run).name)
        handle.close()
        pending = handle.progress().pending
    if as_json:
        print_json({"run": handle.name, "pending": pending})
    else:
        console.print(f"{plain(handle.name)} is closed, {counted(pending, 'item')} pending")


def _stop(run: str, then: str, stop: Callable[[RunHandle], int], *, where: options.Where, as_json: bool) -> None:
    with where.client() as client:
        handle = client.run(run)
        withdrawn = stop(handle)
        pending = handle.progress().pending
    if as_json:
        print_json({"run": handle.name, "state": handle.run.state, "withdrawn": withdrawn, "pending": pending})
        return
    name = plain(handle.name)
    left = f"{counted(pending, 'item')} pending, {withdrawn} taken out of the queue"
    console.print(f"{name} is {handle.run.state} with {left}")
    say(f"{then}: {plain(to_type(f'persqa resume {handle.name}'))}")


@expanded
def resume(run: options.Run, *, where: options.Where, as_json: options.AsJson = False) -> None:
    """Go on with a run that was paused or cancelled, or has paused itself.

    What is pending is enqueued again. Where no broker is named, nothing can be enqueued from here: workers, and a
    `persqa run` that waits for the run, find it within half a minute; if there is none, the next `persqa run` of the
    same input does. It says which of the two. Safe to repeat, and after Ctrl-C it goes on where it stopped.

    A rule of --stop-if by which the run had paused itself counts anew, and needs 100 items again.

    Examples:
        persqa resume portraits
        persqa resume portraits --broker-url redis://localhost:6379/0
    """
    with where.client() as client:
        settings = client.settings
        handle = client.run(run)
        enqueued = handle.resume(on_full=full_queue_note(settings, "resume"))
        state = handle.progress().state
        at_work = settings.broker_url is None and fleet_state(None, [client.run(run).run]).beside
    if as_json:
        print_json({"run": handle.name, "state": state, "enqueued": enqueued})
    elif state is RunState.DONE:
        console.print(f"{plain(handle.name)} is done: nothing of it is pending")
    elif settings.broker_url is None and not at_work:
        console.print(
            f"{plain(handle.name)} is active again, and nobody on this machine works on it: the next `persqa run` of "
            "its input goes on with it, as do the workers of the broker that it was submitted to",
            soft_wrap=True,
        )
    elif settings.broker_url is None:
        console.print(
            f"{plain(handle.name)} goes on: whoever works on it, or waits for it, finds that within half a minute"
        )
    else:
        console.print(f"{plain(handle.name)} goes on, {counted(enqueued, 'item is', 'items are')} enqueued")


@expanded
def priority(
    run: options.Run,
    priority: Annotated[
        str, typer.Argument(metavar="PRIORITY", autocompletion=one_of(*Priority), help="high, normal or low.")
    ],
    *,
    where: options.Where,
    as_json: options.AsJson = False,
) -> None:
    """Let a run's items go before or after those of other runs.

    What waits in the queue is moved; workers finish what they have begun. Nothing of a lower priority is begun while
    something of a higher one waits. Safe to repeat.

    Examples:
        persqa priority portraits high
        persqa priority portraits normal --broker-url redis://localhost:6379/0
    """
    with where.client() as client:
        handle = client.run(run)
        moved = handle.set_priority(priority)
    if as_json:
        print_json({"run": handle.name, "priority": handle.run.priority, "moved": moved})
    else:
        queued = counted(moved, "item in the queue was", "items in the queue were")
        console.print(f"{plain(handle.name)} has {handle.run.priority} priority, {queued} moved")


@expanded
def rename(
    run: options.Run,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name from now on.")],
    *,
    where: options.Where,
    as_json: options.AsJson = False,
) -> None:
    """Give a run another name.

    All that it has stays as it is, and what is under way goes on. A `run` or `submit` of the same input that does not
    say --run NAME makes a new run under the old name.

    Examples:
        persqa rename portraits portraits-2024
        persqa rename portraits portraits-2024 --json
    """
    with where.client() as client:
        handle = client.run(run)
        handle.rename(name)
    if as_json:
        print_json({"run": handle.name, "before": run})
    else:
        new = plain(handle.name)
        say(f"{plain(run)} is now {new}; who submits its input again says: --run {new}")
