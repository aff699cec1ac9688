"""The command line: each command only reads its options, calls the client and prints."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand
from typer.main import get_command

from persqa.errors import Infrastructure, RunStopped, UserError
from persqa.words import write_flags
from producer.cli.help import HELP_NAMES, Command, Group, versions

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
    persqa demo-data 300 faces
    persqa run faces/faces.jsonl --questions-per-image 4
    persqa results faces
"""

#: Each command: where it is in this package, and what it does, for the list of all of them.
COMMANDS = {
    "run": ("run:command", "Ask questions about every image of INPUT, all on this machine."),
    "submit": ("submit:command", "Put a run into the queue, for workers that run elsewhere."),
    "pilot": ("pilot:command", "Ask about a sample in several variants, and say what the whole would cost."),
    "worker": ("worker:command", "Run one worker until it is stopped; with --gpus, one on each GPU."),
    "status": ("status:command", "Show progress, rate, time left, queue depth and workers."),
    "results": ("results:command", "Show questions and answers, or the violations."),
    "report": ("report:command", "Show what a run comes to, also as a page, or as the card of a data set."),
    "ui": ("ui:command", "Look at pictures and answers in a browser, and decide what is good."),
    "serve": ("serve:command", "Serve the gallery, and an HTTP interface for programs in any language."),
    "export": ("export:command", "Write the records with the answers, in the input's order and shape."),
    "requeue": ("requeue:command", "Take results back and ask again, for other answers."),
    "pause": ("controls:pause", "Begin nothing more of a run until it is resumed."),
    "resume": ("controls:resume", "Go on with a run that was paused or cancelled."),
    "cancel": ("controls:cancel", "Give a run up, and tell whoever waits for it."),
    "close": ("controls:close", "Let nothing more be added to an open run."),
    "priority": ("controls:priority", "Let a run's items go before those of other runs, or after them."),
    "rename": ("controls:rename", "Give a run another name."),
    "delete": ("delete:command", "Delete a run for good, after saying what that means and asking."),
    "audit": ("audit:command", "Prove that no item is lost or doubled."),
    "migrate": ("migrate:command", "Bring the tables of the database up to date."),
    "doctor": ("doctor:command", "Look at Python, vLLM, the GPU, the broker and the database."),
    "exporter": ("exporter:command", "Serve the metrics of queues and runs for Prometheus."),
    "demo-data": ("demo_data:command", "Draw portraits to try the system with."),
}


class _Deferred(TyperCommand):
    """A command whose module is loaded when it is used: the list of all commands takes a fraction of that time."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the command itself, which Typer then runs, or asks for its help."""
        return _loaded(str(self.name)).make_context(info_name, args, parent, **extra)


def _loaded(name: str) -> Any:
    module, _, function = COMMANDS[name][0].partition(":")
    alone = typer.Typer(add_completion=False, context_settings=HELP_NAMES)
    alone.command(name=name, cls=Command)(getattr(import_module(f"producer.cli.{module}"), function))
    return get_command(alone)


def _not_loaded() -> None:
    raise AssertionError("a command is loaded before it is run")


app = typer.Typer(
    cls=Group, help=_HELP, no_args_is_help=True, context_settings=HELP_NAMES, pretty_exceptions_enable=False
)
app.callback()(versions)
for _name, (_place, _summary) in COMMANDS.items():
    app.command(name=_name, short_help=_summary, cls=_Deferred)(_not_loaded)


def main() -> None:
    """Run one command; an error that the user can act on is a message without a traceback."""
    _start_fast()
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


def _start_fast() -> None:
    """Leave out what takes a quarter of the time of a short command, and does nothing for it."""
    # What is imported stays, so looking for garbage among it is in vain, while it is imported and at the end.
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
    # pydantic would look through all installed packages for plugins.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def _terminated(_signal: int, _frame: object) -> None:
    sys.exit(EXIT_TERMINATED)


def _complain(error: Exception) -> None:
    from producer.cli.printing import notes, plain, say

    say(f"[bold red]persqa:[/] {plain(error)}", to=notes)
