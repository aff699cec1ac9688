"""`persqa requeue`: asking items again that have ended."""

from __future__ import annotations

from typing import Annotated

import typer

from persqa.pairs import Requeued
from persqa.runs import RunState
from persqa.words import counted, to_type
from producer.cli import options
from producer.cli.completing import one_of
from producer.cli.expanding import expanded
from producer.cli.printing import plain, print_json, say


@expanded
def command(  # noqa: PLR0913 - one parameter an option
    run: options.Run,
    status: Annotated[
        str | None,
        typer.Option(
            "--status",
            metavar="noncompliant|invalid|dead|ok",
            autocompletion=one_of("noncompliant", "invalid", "dead", "ok"),
            help="Only items with this one.",
        ),
    ] = None,
    *,
    item: options.Items = None,
    question: Annotated[
        str | None, typer.Option("--question", help="Only with this topic, or with these words in the question.")
    ] = None,
    recheck: options.Recheck = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="With --status ok: take back all good answers of the run.")
    ] = False,
    where: options.Where,
    as_json: options.AsJson = False,
) -> None:
    """Take results back and enqueue their items again, for other answers; what was answered before stays as history.

    `persqa results RUN --item ID` shows an item's earlier results. Violations stay, and records that are wrong in
    themselves stay invalid. Without a broker the items become pending, and the next `persqa run` of the same input
    asks them.

    Examples:
        persqa requeue portraits --status noncompliant
        persqa requeue portraits --item 10000000001 --item 10000000003
    """
    with where.client() as client:
        handle = client.run(run)
        done = handle.requeue(status, items=item, question=question, recheck=recheck, sure=yes)
        state, broker_url = handle.run.state, client.settings.broker_url
    if as_json:
        facts = {"requeued": done.taken_back, "wrong_records": done.wrong, "already_pending": done.pending}
        print_json({"run": handle.name, "status": status, **facts, "state": state})
        return
    enqueued = state is RunState.ACTIVE and broker_url is not None
    said = _in_words(done, status=status, named=len(set(item or ())), what="enqueued" if enqueued else "pending")
    if done.taken_back and state is not RunState.ACTIVE:
        said += f"; the run is {state}, to go on: {to_type(f'persqa resume {handle.name}')}"
    elif done.taken_back and broker_url is None:
        them = "it" if done.taken_back == 1 else "them"
        said += f"; `{to_type('persqa run INPUT')}` with the same input asks {them}"
    say(plain(said))


def _in_words(done: Requeued, *, status: str | None, named: int, what: str) -> str:
    """What became of all items that were chosen or named."""
    kind = f"{status} item" if status else "item"
    taken, chosen = done.taken_back, done.taken_back + done.wrong + done.pending
    if not chosen:
        return f"no {kind} of the run was chosen, so none is asked again"
    number = counted(taken, kind) if taken == chosen else f"{taken} of {counted(chosen, kind)}"
    parts = [f"{number} {'is' if taken == 1 else 'are'} {what} again" if taken else "nothing is asked again"]
    if done.wrong == 1:
        parts.append("1 stays invalid: its record is wrong in itself")
    elif done.wrong:
        parts.append(f"{done.wrong} stay invalid: their records are wrong in themselves")
    if done.pending:
        parts.append(f"{done.pending} {'is' if done.pending == 1 else 'are'} pending already")
    if others := named - chosen if named else 0:
        parts.append(f"{others} of those named {'is' if others == 1 else 'are'} ruled out by the other options")
    return "; ".join(parts)
