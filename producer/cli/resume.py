"""`persqa resume`: go on with a run."""

from __future__ import annotations

from persqa.settings import load_settings
from producer.cli import options
from producer.cli.printing import console, plain, print_json
from producer.cli.submit import full_queue_note
from producer.client import Client


def command(
    run: options.Run,
    broker_url: options.BrokerUrl = None,
    database_url: options.DatabaseUrl = None,
    as_json: options.AsJson = False,
) -> None:
    """Go on with a run that was paused or cancelled: what is pending is enqueued again.

    Without a broker nothing can be enqueued from here: workers, and a `persqa run` that waits for the run, find it
    within half a minute, and otherwise the next `persqa run` of the same input does. Safe to repeat, and after
    Ctrl-C it goes on where it stopped.

    Example: persqa resume portraits
    """
    settings = load_settings(broker_url=broker_url, database_url=database_url)
    with Client(settings) as client:
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
