"""The command line: each command only reads its options, calls the client and prints."""

from __future__ import annotations

import signal
import sys

import typer

from persqa.errors import Infrastructure, RunStopped, UserError
from persqa.words import write_flags
from producer.cli import (
    audit,
    controls,
    delete,
    demo_data,
    doctor,
    export,
    exporter,
    migrate,
    requeue,
    results,
    run,
    status,
    submit,
    worker,
)
from producer.cli.help import HELP_NAMES, Command, Group, versions
from producer.cli.printing import notes, plain, say

#: Exit codes of every command; also in the help.
EXIT_USER_ERROR = 2
EXIT_INFRASTRUCTURE = 3
EXIT_STOPPED = 4
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

_HELP = """Ask a vision-language model about the main character of each of many images, and keep every answer in SQL.

`persqa run` does everything on this machine. `persqa COMMAND --help` explains a command.

Exit codes: 0 done, 1 a check did not hold, 2 something to change in what was typed or set,
3 Redis, the database or the engine failed, 4 the run is paused or cancelled, 5 the run has ended and nothing of it
is ok, 130 or 143 interrupted.

Examples:
    persqa demo-data 300 people
    persqa run people/portraits.jsonl --questions-per-image 4
    persqa results portraits
"""

app = typer.Typer(
    cls=Group, help=_HELP, no_args_is_help=True, context_settings=HELP_NAMES, pretty_exceptions_enable=False
)
app.callback()(versions)
for name, command in {
    "run": run.command,
    "submit": submit.command,
    "worker": worker.command,
    "status": status.command,
    "results": results.command,
    "export": export.command,
    "requeue": requeue.command,
    "pause": controls.pause,
    "resume": controls.resume,
    "cancel": controls.cancel,
    "priority": controls.priority,
    "rename": controls.rename,
    "delete": delete.command,
    "audit": audit.command,
    "migrate": migrate.command,
    "doctor": doctor.command,
    "exporter": exporter.command,
    "demo-data": demo_data.command,
}.items():
    app.command(name=name, cls=Command)(command)


def main() -> None:
    """Run one command; an error that the user can act on is a message without a traceback."""
    write_flags()
    # Then `with` blocks end too, and with them a worker process.
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except RunStopped as error:
        _complain(error)
        sys.exit(EXIT_STOPPED)
    except UserError as error:
        _complain(error)
        sys.exit(EXIT_USER_ERROR)
    except (Infrastructure, TimeoutError) as error:
        _complain(error)
        sys.exit(EXIT_INFRASTRUCTURE)
    except BrokenPipeError:
        # The reader of our output, such as `head`, has closed it.
        sys.stderr.close()
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def _terminated(_signal: int, _frame: object) -> None:
    sys.exit(EXIT_TERMINATED)


def _complain(error: Exception) -> None:
    say(f"[bold red]persqa:[/] {plain(error)}", to=notes)
