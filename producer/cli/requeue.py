"""`persqa requeue`: ask again."""

from __future__ import annotations

from typing import Annotated

import typer

from persqa.runs import RunState
from producer.cli import options
from producer.cli.expanding import expanded
from producer.cli.printing import console, print_json


@expanded
def command(
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
            console.print(
                f"{number} items are pending again; the run is {state}, to go on: persqa resume {handle.name}"
            )
        elif client.settings.broker_url is None:
            console.print(f"{number} items are pending again; `persqa run` with the same input asks them")
        else:
            console.print(f"{number} items are enqueued again")
