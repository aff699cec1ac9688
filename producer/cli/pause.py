"""`persqa pause`: begin nothing more of a run."""

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
    """Begin none of a run's items until it is resumed; workers finish what they have begun.

    Its messages are taken out of the queue, and a submit of it that is under way ends. Whoever waits for the run goes
    on waiting. Safe to repeat.

    Example: persqa pause portraits
    """
    with Client(load_settings(broker_url=broker_url, database_url=database_url)) as client:
        handle = client.run(run)
        withdrawn = handle.pause()
        pending = handle.progress().pending
    if as_json:
        print_json({"run": handle.name, "state": handle.run.state, "withdrawn": withdrawn, "pending": pending})
        return
    console.print(f"{plain(handle.name)} is paused with {pending} items pending, {withdrawn} taken out of the queue")
    console.print(f"to go on: persqa resume {plain(handle.name)}")
