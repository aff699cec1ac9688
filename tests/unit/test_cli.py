"""The command line's promises to a newcomer."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from rich.text import Text

from producer.cli import app, run, submit
from producer.cli.expanding import expanded
from producer.cli.options import Where
from producer.cli.printing import plain
from producer.cli.submit_flags import SubmitFlags
from producer.options import GivenSubmitOptions

COMMANDS = (
    *("run", "submit", "pilot", "worker", "status", "results", "report", "ui", "serve", "export", "requeue"),
    *("pause", "resume", "cancel", "close", "priority", "rename", "delete"),
    *("audit", "migrate", "doctor", "exporter", "demo-data"),
)
README = Path(__file__).parents[2] / "README.md"


def test_every_command_of_the_design_is_there_and_no_other() -> None:
    assert [command.name for command in app.registered_commands] == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_stands_in_the_readme(command: str) -> None:
    assert f"persqa {command}" in README.read_text()


def test_looking_at_results_loads_neither_celery_nor_an_engine() -> None:
    heavy = ("celery", "kombu", "vllm", "torch", "transformers", "PIL")
    code = f"import persqa, producer.cli, sys; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_nothing_in_a_cell_is_markup_or_a_terminal_command() -> None:
    shown = Text.from_markup(plain("[red]\x1b[31m a\0b\x9b ü 穿\n")).plain
    assert shown == "[red]\ufffd[31m a\ufffdb\ufffd ü 穿\n"


def test_run_and_submit_have_one_set_of_options_that_the_client_knows() -> None:
    own = [field.name for field in fields(SubmitFlags)]
    assert set(own) <= set(GivenSubmitOptions.__annotations__)
    for command in (run.command, submit.command):
        assert [name for name in inspect.signature(command).parameters if name in own] == own


def test_options_that_are_written_once_reach_the_command_under_their_names() -> None:
    found: list[object] = []

    def command(name: str, *, where: Where, again: bool = False) -> None:
        found.extend([name, where, again])

    expanded(command)("portraits", database_url="sqlite:///x.db", again=True)
    assert found == ["portraits", Where(database_url="sqlite:///x.db"), True]
