"""What is typed wrongly is refused in words, and what is printed to be typed works as it stands."""

from __future__ import annotations

import json
import logging
import os
import pty
import struct
import termios
from contextlib import closing
from datetime import timedelta
from fcntl import ioctl
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, Group
from typer.core import TyperArgument, TyperOption
from typer.main import get_command
from typer.testing import CliRunner

from persqa.clock import now
from persqa.complaints import not_json
from persqa.errors import InputError, SettingsError
from persqa.lenient import lenient_settings
from persqa.logs import format_logs
from persqa.phases import Phase
from persqa.policies import Policy
from persqa.questions import load_pool
from persqa.results import Status
from persqa.runs import Priority, RunOptions
from persqa.settings import LogFormat, Settings
from persqa.store import Store
from persqa.system_errors import in_words
from persqa.words import repeat_options, to_type
from producer import Client
from producer.cli import COMMANDS, app
from producer.cli.printing import say, whole_line
from producer.demo.data import records_file
from producer.exporters import FORMATS, choose_format
from producer.lookout import _news_of
from producer.readers.opening import FORMATS as INPUT_FORMATS
from producer.wait_bar import News, wait_bar
from tests.support.builders import a_stored_run
from tests.support.looking import typed

_MAY_BE_EMPTY = {"--tag-column", "--system-prompt"}
#: What else each command must have, so that the option is what is wrong.
_ARGUMENTS = {name: ["x"] for name in COMMANDS} | {
    **{name: [] for name in ("worker", "migrate", "doctor", "exporter", "status", "audit", "ui", "serve")},
    "export": ["x", "out.json"],
    "rename": ["x", "y"],
    "priority": ["x", "high"],
    "demo-data": ["1", "faces"],
}


def _params(command: str) -> list[Any]:
    group: Any = get_command(app)
    of_all = group.make_context("persqa", [], resilient_parsing=True)
    loaded = group.get_command(of_all, command).make_context(command, [], parent=of_all, resilient_parsing=True)
    return list(loaded.command.get_params(loaded))


def _options(command: str) -> list[tuple[str, str]]:
    """Name and metavar of each option that takes a value."""
    found = [param for param in _params(command) if isinstance(param, TyperOption) and not param.is_flag]
    return [(max(param.opts, key=len), str(param.metavar)) for param in found]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_empty_text_is_refused_wherever_it_has_no_meaning(command: str, tmp_path: Path) -> None:
    before = list(tmp_path.iterdir())
    for option, _ in _options(command):
        if option not in _MAY_BE_EMPTY:
            done = typed(command, *_ARGUMENTS[command], option, "")
            assert (done.code, done.error.startswith(f"persqa: {option} is empty: ")) == (2, True), done
    for place, _ in enumerate(_ARGUMENTS[command]):
        arguments = [*_ARGUMENTS[command]]
        arguments[place] = " "
        name = [str(param.metavar) for param in _params(command) if isinstance(param, TyperArgument)][place]
        done = typed(command, *arguments)
        assert done.code == 2
        assert done.error.startswith(f"persqa: {name.strip('[]')} is empty: "), done
    assert list(tmp_path.iterdir()) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_every_number_is_refused_with_its_option_and_its_range(command: str) -> None:
    for option, metavar in _options(command):
        if metavar not in ("N", "K", "ID"):
            continue
        for text, words in (("-1", "is too small"), ("99999999999999999999", "is too large"), ("1.5", "is no whole")):
            done = typed(command, *_ARGUMENTS[command], option, text)
            assert done.code == 2
            assert done.error.startswith(f"persqa: {option}: "), done
            assert words in done.error
            assert " write " in done.error
            assert "Input should" not in done.error


def test_the_ranges_are_those_of_the_options_of_a_run() -> None:
    for option, name, wrong in (("--questions-per-image", "questions_per_image", 101), ("--window", "window", 65_537)):
        model = RunOptions if name in RunOptions.model_fields else Settings
        with pytest.raises(ValueError, match="less than or equal to"):
            model.model_validate({name: wrong})
        command = "run" if model is RunOptions else "worker"
        assert typed(command, *_ARGUMENTS[command], option, str(wrong)).code == 2


def test_an_empty_text_is_refused_in_python_too(tmp_path: Path) -> None:
    with Client(database_url=f"sqlite:///{tmp_path}/x.db") as client:
        for data, given in (("", {}), ("x.jsonl", {"pool": ""}), ("x.jsonl", {"input_format": ""})):
            with pytest.raises((InputError, SettingsError), match="is empty"):
                client.submit(data, **given)  # pyrefly: ignore[bad-argument-type]


def test_hints_repeat_where_things_are() -> None:
    assert to_type("persqa worker") == "persqa worker"
    done = typed("status", "--database-url", "sqlite:///a b.db")
    assert "`persqa run INPUT --database-url 'sqlite:///a b.db'` makes one" in done.error
    repeat_options("")
    assert "`persqa run INPUT` makes one" in typed("status").error
    done = typed("delete", "x", "--broker-url", "redis://:geheim@h/0", "--database-url", "sqlite:///no.db")
    assert "geheim" not in done.error


def test_the_shell_completes_runs_and_choices(tmp_path: Path) -> None:
    with closing(Store.open(f"sqlite:///{tmp_path}/other.db")) as store:
        for name in ("first", "fifth", "last"):
            a_stored_run(store, 1, name)

    def completed(words: str) -> list[str]:
        typing = {"_PERSQA_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        return CliRunner().invoke(app, [], prog_name="persqa", env=typing).stdout.split()

    url = f"--database-url sqlite:///{tmp_path}/other.db"
    assert sorted(completed(f"persqa results {url} fi")) == ["fifth", "first"]
    assert completed("persqa results fi") == []
    assert completed("persqa results --database-url nonsense fi") == []
    assert not (tmp_path / "persqa.db").exists()
    for words, choices in (
        ("persqa run --tag-policy ", Policy),
        ("persqa run --priority ", Priority),
        ("persqa priority x ", Priority),
        ("persqa run --format ", INPUT_FORMATS),
        ("persqa export --format ", FORMATS),
        ("persqa results --status ", [*Status, "pending"]),
        ("persqa requeue --status ", Status),
        ("persqa worker --log-format ", LogFormat),
    ):
        assert sorted(completed(words)) == sorted(choices), words
    for pool in completed("persqa run --pool "):
        assert load_pool(pool)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": }', "not valid JSON, at column 7: expecting value"),
        ('{"a": 1,\n', "not valid JSON, at column 9: expecting property name enclosed in double quotes"),
        ('{"a"\n:}', "not valid JSON, at line 2, column 2: expecting value"),
    ],
)
def test_what_is_no_json_says_where(text: str, words: str) -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads(text)
    assert not_json(caught.value) == words


def test_system_errors_are_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, words in (
        (tmp_path / "no" / "a.json", f"there is no folder {tmp_path}/no"),
        (tmp_path / "no" / "no" / "a.json", f"there is no folder {tmp_path}/no/no"),
        (tmp_path / "file" / "a.json", f"{tmp_path}/file is a file, and no folder"),
        (tmp_path / "a.json", "there is no such file"),
        (tmp_path, "it is a folder"),
    ):
        with pytest.raises((FileNotFoundError, NotADirectoryError, IsADirectoryError)) as caught:
            path.read_text()
        assert in_words(caught.value, path) == words
    assert "Errno" not in typed("run", "x.jsonl", "--system-prompt", "@no/such").error


def test_a_format_that_there_is_not_is_named() -> None:
    with pytest.raises(InputError, match="file_format: there is no format 'xml'; choose"):
        choose_format(Path("a.json"), "xml")


@pytest.mark.parametrize(
    ("folder", "name"), [("faces", "faces"), ("my people", "my-people"), ("truth", "portraits"), ("é", "portraits")]
)
def test_the_records_of_demo_data_are_named_like_their_folder(tmp_path: Path, folder: str, name: str) -> None:
    assert records_file(tmp_path / folder).name == f"{name}.jsonl"


def test_whatever_is_wrong_all_other_settings_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERSQA_WINDOW", "abc")
    monkeypatch.setenv("PERSQA_WINDW", "3")
    monkeypatch.setenv("PERSQA_ENGINE_ARGS", "{")
    monkeypatch.setenv("PERSQA_BROKER_URL", "ftp://x")
    monkeypatch.setenv("PERSQA_MAX_IMAGES", "7")
    Path(".env").write_text("PERSQA_NO=1\n")
    settings, wrong = lenient_settings(database_url="sqlite:///x.db")
    assert settings is not None
    assert (settings.max_images, settings.window, settings.database_url) == (7, 256, "sqlite:///x.db")
    assert {"window", "engine_args", "broker_url"} < wrong.keys()
    assert len(wrong) == 5
    findings = typed("doctor", "--json")
    subjects = [finding["subject"] for finding in json.loads(findings.out)]
    assert subjects.count("settings") == 5
    assert {"database", "images", "blobs"} < set(subjects)
    assert "broker" not in subjects


def test_a_terminal_breaks_lines_between_words_only() -> None:
    console = Console(width=20, force_terminal=True, color_system=None)
    with console.capture() as captured:
        say("model: it knows persqa/persqa and not more than that", to=console)
    assert [line.strip() for line in captured.get().splitlines()] == [
        "model: it knows",
        "persqa/persqa and",
        "not more than that",
    ]


def test_a_command_to_type_is_broken_nowhere() -> None:
    command = f"persqa submit people.jsonl --tag mam --reuse people-pilot-1 --database-url sqlite:///{'long/' * 30}x.db"
    for shown in (f"to ask the whole input like 1: {command}", f"people: it paused itself; to go on: {command}"):
        console = Console(width=40, force_terminal=True, color_system=None)
        with console.capture() as capture:
            say(shown, to=console)
            console.print(Group(whole_line(shown), whole_line("it is " * 20)), crop=False)
        said, drawn, *broken = capture.get().splitlines()
        assert said == drawn == shown
        assert len(broken) == 4
        assert max(map(len, broken)) <= 40


def test_a_log_on_a_terminal_breaks_lines_between_words_only() -> None:
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 30, 0, 0))
    with os.fdopen(theirs, "w") as stream, os.fdopen(ours, "rb", buffering=0):
        handler = logging.StreamHandler(stream)
        format_logs([handler], LogFormat.TEXT)
        record = logging.LogRecord("x", logging.INFO, "", 0, "answers of a worker, sixty-four words", None, None)
        assert handler.format(record).split("\n") == ["INFO x: answers of a worker,", "  sixty-four words"]


def test_what_takes_longer_than_usual_says_so() -> None:
    late = _news_of(Phase.STARTING, now() - timedelta(seconds=60), "demo", None)
    early = _news_of(Phase.STARTING, now(), "demo", None)
    unknown = _news_of(Phase.WEIGHTS, now() - timedelta(hours=1), "a/model", None)
    assert [news.is_late for news in (late, early, unknown, News())] == [True, False, False, False]
    console = Console(width=100)
    with console.capture() as captured, wait_bar("r", console) as show:
        for news in (early, late, late):
            show(None, news)
    assert captured.get().count("longer than usual, which is 2 to 8 s") == 1


def _no_module(_name: str) -> None:
    """As `find_spec` where nothing is installed."""


def test_who_has_no_vllm_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persqa.models.find_spec", _no_module)
    Path("x.jsonl").write_text('{"image": "a.png"}\n')
    where = ("--broker-url", "redis://localhost:1/0", "--image-roots", ".")
    for command in (("run", "x.jsonl"), ("worker", *where)):
        done = typed(*command)
        assert (done.code, done.out) == (2, "")
        assert "vLLM is not installed: pip install 'persqa[cuda]'" in done.error
        assert "'persqa[worker]'" in done.error
    assert [path.name for path in tmp_path.iterdir()] == ["x.jsonl"]


def test_a_run_that_has_the_name_already_is_not_renamed(tmp_path: Path) -> None:
    with closing(Store.open(f"sqlite:///{tmp_path}/persqa.db")) as store:
        a_stored_run(store, 1, "first")
    done = typed("rename", "first", "first")
    assert (done.code, done.error) == (2, "persqa: the run is named 'first' already: choose another name")
