"""`persqa worker`: one worker."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from persqa.errors import SettingsError
from persqa.settings import load_settings
from producer.cli import options


def command(  # noqa: PLR0913 - one parameter an option
    model: options.Model = None,
    engine_args: options.EngineArgs = None,
    window: Annotated[
        int | None, typer.Option("--window", metavar="N", help="Items in flight at once (default: 256).")
    ] = None,
    image_roots: options.ImageRoots = None,
    log_format: options.LogFormat = None,
    broker_url: options.BrokerUrl = None,
    database_url: options.DatabaseUrl = None,
) -> None:
    """Run one worker until it is stopped; start as many as there are GPUs.

    Ctrl-C or SIGTERM once: it finishes what is in flight. `celery -A worker worker` starts the same worker.

    Example: persqa worker --broker-url redis://localhost:6379/0 --database-url postgresql://persqa@localhost/persqa
    """
    settings = load_settings(
        broker_url=broker_url,
        database_url=database_url,
        model=model,
        engine_args=options.json_object(engine_args, "--engine-args"),
        window=window,
        image_roots=image_roots,
        log_format=log_format,
    )
    if settings.broker_url is None:
        raise SettingsError("no broker is named: set --broker-url or PERSQA_BROKER_URL")
    # The worker takes this process over, so signals and exit code are its own.
    os.execve(sys.executable, [sys.executable, "-m", "worker"], {**os.environ, **settings.environment()})
