"""`persqa priority`: whose items go first."""

from __future__ import annotations

from typing import Annotated

import typer

from persqa.settings import load_settings
from producer.cli import options
from producer.cli.printing import console, plain, print_json
from producer.client import Client


def command(
    run: options.Run,
    priority: Annotated[str, typer.Argument(metavar="high|normal|low", help="Its priority from now on.")],
    broker_url: options.BrokerUrl = None,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
) -> None:
    """Let a run's items go before those of other runs, or after them, from now on.

    What waits in the queue is moved; workers finish what they have begun. Nothing of a lower priority is begun while
    something of a higher one waits. Safe to repeat.

    Example: persqa priority portraits high
    """
    with Client(load_settings(broker_url=broker_url, database_url=database_url)) as client:
        handle = client.run(run)
        moved = handle.set_priority(priority)
    if as_json:
        print_json({"run": handle.name, "priority": handle.run.priority, "moved": moved})
    else:
        console.print(f"{plain(handle.name)} has {handle.run.priority} priority, {moved} items in the queue were moved")
