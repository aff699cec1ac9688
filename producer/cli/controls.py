"""`persqa pause`, `resume`, `cancel`, `priority` and `requeue`: what people do to a run after its submit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from persqa.runs import RunState
from producer.cli import options
from producer.cli.expanding import expanded
from producer.cli.printing import console, plain, print_json
from producer.cli.submit import full_queue_note

if TYPE_CHECKING:
    from collections.abc import Callable

    from producer import RunHandle


@expanded
def pause(run: options.Run, *, where: options.Where, as_json: options.AsJson = False) -> None:
    """Begin none of a run's items until it is resumed; workers finish what they have begun.

    Its messages are taken out of the queue, and a submit of it that is under way ends. Whoever waits for the run goes
    on waiting. Safe to repeat.

    Example: persqa pause portraits
    """
    _stop(run, "to go on", lambda handle: handle.pause(), where=where, as_json=as_json)


@expanded
def cancel(run: options.Run, *, where: options.Where, as_json: options.AsJson = False) -> None:
    """Give a run up: begin none of its items, and tell whoever waits for it; workers finish what they have begun.

    What has a result keeps it, and can be looked at and exported. Its messages are taken out of the queue; `run`,
    `submit` and whatever else waits for it ends with exit code 4. Safe to repeat.

    Example: persqa cancel portraits
    """
    _stop(run, "to take it up again all the same", lambda handle: handle.cancel(), where=where, as_json=as_json)


def _stop(run: str, then: str, stop: Callable[[RunHandle], int], *, where: options.Where, as_json: bool) -> None:
    with where.client() as client:
        handle = client.run(run)
        withdrawn = stop(handle)
        pending = handle.progress().pending
    if as_json:
        print_json({"run": handle.name, "state": handle.run.state, "withdrawn": withdrawn, "pending": pending})
        return
    name = plain(handle.name)
    console.print(f"{name} is {handle.run.state} with {pending} items pending, {withdrawn} taken out of the queue")
    console.print(f"{then}: persqa resume {name}")


@expanded
def resume(run: options.Run, *, where: options.Where, as_json: options.AsJson = False) -> None:
    """Go on with a run that was paused or cancelled: what is pending is enqueued again.

    Without a broker nothing can be enqueued from here: workers, and a `persqa run` that waits for the run, find it
    within half a minute, and otherwise the next `persqa run` of the same input does. Safe to repeat, and after
    Ctrl-C it goes on where it stopped.

    Example: persqa resume portraits
    """
    with where.client() as client:
        settings = client.settings
        handle = client.run(run)
        enqueued = handle.resume(on_full=full_queue_note(settings, "resume"))
    if as_json:
        print_json({"run": handle.name, "state": handle.run.state, "enqueued": enqueued})
    elif settings.broker_url is None:
        console.print(
            f"{plain(handle.name)} goes on: whoever works on it, or waits for it, finds that within half a minute"
        )
    else:
        console.print(f"{plain(handle.name)} goes on, {enqueued} items are enqueued")


@expanded
def priority(
    run: options.Run,
    priority: Annotated[str, typer.Argument(metavar="high|normal|low", help="Its priority from now on.")],
    *,
    where: options.Where,
    as_json: options.AsJson = False,
) -> None:
    """Let a run's items go before those of other runs, or after them, from now on.

    What waits in the queue is moved; workers finish what they have begun. Nothing of a lower priority is begun while
    something of a higher one waits. Safe to repeat.

    Example: persqa priority portraits high
    """
    with where.client() as client:
        handle = client.run(run)
        moved = handle.set_priority(priority)
    if as_json:
        print_json({"run": handle.name, "priority": handle.run.priority, "moved": moved})
    else:
        console.print(f"{plain(handle.name)} has {handle.run.priority} priority, {moved} items in the queue were moved")


@expanded
def requeue(
    run: options.Run,
    status: Annotated[str, typer.Option("--status", metavar="noncompliant|invalid|dead", help="Which items.")],
    *,
    recheck: options.Recheck = False,
    where: options.Where,
    as_json: options.AsJson = False,
) -> None:
    """Take back the results of one status and enqueue their items again, with new seeds.

    Their violations stay. Records that were wrong in themselves stay invalid. Without a broker the items become
    pending, and the next `persqa run` of the same input asks them.

    Example: persqa requeue portraits --status noncompliant
    """
    with where.client() as client:
        handle = client.run(run)
        number = handle.requeue(status, recheck=recheck)
        state = handle.run.state
        if as_json:
            print_json({"run": handle.name, "status": status, "requeued": number, "state": state})
        elif state is not RunState.ACTIVE:
            then = f"the run is {state}, to go on: persqa resume {handle.name}"
            console.print(f"{number} items are pending again; {then}")
        elif client.settings.broker_url is None:
            console.print(f"{number} items are pending again; `persqa run` with the same input asks them")
        else:
            console.print(f"{number} items are enqueued again")
