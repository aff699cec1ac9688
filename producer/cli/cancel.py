"""`persqa cancel`: give a run up."""

from __future__ import annotations

from persqa.settings import load_settings
from producer.cli import options
from producer.cli.printing import console, plain, print_json
from producer.client import Client


def command(
    run: options.Run,
    broker_url: options.BrokerUrl = None,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
) -> None:
    """Give a run up: begin none of its items, and tell whoever waits for it; workers finish what they have begun.

    What has a result keeps it, and can be looked at and exported. Its messages are taken out of the queue; `run`,
    `submit` and whatever else waits for it ends with exit code 4. Safe to repeat.

    Example: persqa cancel portraits
    """
    with Client(load_settings(broker_url=broker_url, database_url=database_url)) as client:
        handle = client.run(run)
        withdrawn = handle.cancel()
        pending = handle.progress().pending
    if as_json:
        print_json({"run": handle.name, "state": handle.run.state, "withdrawn": withdrawn, "pending": pending})
        return
    console.print(f"{plain(handle.name)} is cancelled with {pending} items pending, {withdrawn} taken out of the queue")
    console.print(f"to take it up again all the same: persqa resume {plain(handle.name)}")
