"""What `--help` says: of every command the same things, at any width, and nothing that is not so."""

from __future__ import annotations

import platform
import re
import shlex
from dataclasses import fields
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from persqa.errors import SettingsError
from producer.cli import COMMANDS, app
from producer.cli.help import Page, parse_help
from producer.cli.submit_flags import SubmitFlags
from scripts.cli_docs import DOCS, pages, written

NAMES = [f"persqa {command}" for command in COMMANDS]


@cache
def all_pages() -> dict[str, Page]:
    return dict(pages())


def said(*arguments: str, columns: int = 80) -> str:
    done = CliRunner().invoke(app, [*arguments], prog_name="persqa", env={"COLUMNS": str(columns)})
    assert done.exit_code == 0, done.output
    return done.stdout


def options_of(page: Page) -> dict[str, str]:
    return {name: meaning for rows in page.panels.values() for name, meaning in rows}


def test_the_page_of_the_docs_is_what_the_commands_say() -> None:
    assert DOCS.read_text() == written(), "make docs writes it anew"


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_two_examples_that_fit_the_narrowest_terminal_and_can_be_typed(name: str) -> None:
    examples = all_pages()[name].examples
    assert len(examples) >= 2
    group: Any = get_command(app)
    of_all = group.make_context("persqa", [], resilient_parsing=True)
    for example in examples:
        assert len(example) <= 78
        program, command, *arguments = shlex.split(example)
        assert f"{program} {command}" == name
        # It raises where there is no such option, or an argument is missing.
        group.get_command(of_all, command).make_context(command, arguments, parent=of_all)


@pytest.mark.parametrize("name", ["persqa", *NAMES])
def test_every_option_says_what_it_is_for_in_a_sentence(name: str) -> None:
    for option, meaning in options_of(all_pages()[name]).items():
        assert re.fullmatch(r"[A-Za-z.\-$].{5,}[.)]", meaning), (option, meaning)


@pytest.mark.parametrize("columns", [40, 80, 120])
@pytest.mark.parametrize("name", ["persqa", *NAMES])
def test_help_fits_the_terminal_and_shows_nothing_of_types(name: str, columns: int) -> None:
    text = said(*name.split()[1:], "-h", columns=columns)
    assert text == said(*name.split()[1:], "--help", columns=columns)
    examples = {f"  {example}" for example in all_pages()[name].examples}
    assert all(len(line) <= columns for line in text.splitlines() if line not in examples)
    assert all(f"\n{example}\n" in text for example in examples)
    for noise in ("<str>", "<int", "<bool>", "<path>", "[[", "{INPUT}", "{RUN}", "[bold]"):
        assert noise not in text
    usage = " ".join(text.split("\n\n")[0].split())
    assert usage == f"Usage: {all_pages()[name].usage}"


def test_paragraphs_flow_at_any_width() -> None:
    about, examples = parse_help("""First sentence.

        A paragraph that has
        two lines.

        Examples:
            persqa run a
            persqa run b

        Example: persqa run c
        """)
    assert about == ["First sentence.", "A paragraph that has two lines."]
    assert examples == ["persqa run a", "persqa run b", "persqa run c"]


def test_options_stand_in_panels() -> None:
    panels = list(all_pages()["persqa run"].panels)
    assert panels == ["Input", "Questions", "Tag", "Model", "Run", "Where things are", "Output"]
    flags = {name.split()[0] for name in options_of(all_pages()["persqa submit"])}
    for field in fields(SubmitFlags):
        option = {"input_format": "--format"}.get(field.name, "--" + field.name.replace("_", "-"))
        assert option in flags


def test_a_usage_says_what_must_be_there_and_what_may() -> None:
    assert all_pages()["persqa run"].usage == "persqa run [OPTIONS] INPUT"
    assert all_pages()["persqa status"].usage == "persqa status [OPTIONS] [RUN]"
    wrong = CliRunner().invoke(app, ["status", "a", "b"], prog_name="persqa")
    assert (wrong.exit_code, wrong.stderr.splitlines()[0]) == (2, "Usage: persqa status [OPTIONS] [RUN]")


def test_the_versions_are_those_installed() -> None:
    versions = said("--version")
    assert versions.startswith(f"persqa {metadata.version('persqa')}, Python {platform.python_version()}, ")
    assert re.search(r", (vllm(-cpu)? \d\S+|no vLLM)\n", versions)


def test_the_shell_completes_commands_and_options() -> None:
    def completed(typed: str) -> str:
        typing = {"_PERSQA_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
        return CliRunner().invoke(app, [], prog_name="persqa", env=typing).stdout

    assert completed("persqa sta").split() == ["status"]
    assert completed("persqa run --que").split() == ["--questions-per-image"]


def test_a_system_prompt_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "prompt.txt"
    file.write_bytes("Be kind. Ünly facts.\n\nTwo lines.\n".encode())
    assert SubmitFlags(system_prompt="Be kind.").given().get("system_prompt") == "Be kind."
    assert SubmitFlags(system_prompt=f"@{file}").given().get("system_prompt") == "Be kind. Ünly facts.\n\nTwo lines."
    assert SubmitFlags().given().get("system_prompt") is None
    file.write_bytes(b"\xff")
    for name in (file, tmp_path / "none.txt", tmp_path):
        with pytest.raises(SettingsError, match=f"--system-prompt: the file '{name}' cannot be read"):
            SubmitFlags(system_prompt=f"@{name}").given()
