"""The folder that one stands in is data: nothing that lies there is imported, executed, or decides what code runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from persqa.own_code import own_code_only
from persqa.settings import load_settings
from tests.support import nvidia_smi
from tests.support.builders import write_images
from tests.support.servers import valkey_server
from tests.support.wait import wait_until
from tests.support.workers import scripted

if TYPE_CHECKING:
    from collections.abc import Generator

_ROOT = Path(__file__).parents[2]
_NAMES = (
    *("worker", "persqa", "producer", "psutil", "redis", "kombu", "pydantic", "sqlalchemy", "PIL", "typer", "vllm"),
    *("sitecustomize", "usercustomize", "celeryconfig", "__future__", "signal", "threading", "multiprocessing"),
)
_READY = " ready."


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Somebody's data, with modules and programs beside it that leave a note when they run."""
    folder = tmp_path / "downloaded"
    write_images(folder, 3)
    for name in _NAMES:
        (folder / f"{name}.py").write_text(_trap(tmp_path))
    # Celery's own way of starting again would execute this.
    (folder / "celery").mkdir()
    for name in ("__init__.py", "__main__.py"):
        (folder / "celery" / name).write_text(_trap(tmp_path))
    return folder


def _trap(tmp_path: Path) -> str:
    return (
        "import os, sys\n"
        f"note = os.open({str(tmp_path / 'executed')!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)\n"
        "os.write(note, str((__file__, sys.orig_argv)).encode())\nos._exit(66)\n"
    )


def executed(tmp_path: Path) -> str:
    """What of the folder was executed."""
    note = tmp_path / "executed"
    return note.read_text() if note.exists() else ""


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    settings = scripted(load_settings(database_url=f"sqlite:///{tmp_path}/persqa.db"), "compliant")
    engine = {"PERSQA_ENGINE": "tests.support.starting_engine:StartingEngine"}
    return {**os.environ, **settings.environment(), **engine, "PYTHONPATH": str(_ROOT), **more}


def command(tmp_path: Path, *arguments: str) -> list[str]:
    """`persqa`, as pip installs it."""
    script = tmp_path / "bin" / "persqa"
    script.parent.mkdir(exist_ok=True)
    script.write_text("import sys\nfrom producer.cli import main\nsys.exit(main())\n")
    return [sys.executable, str(script), *arguments]


def test_a_run_executes_nothing_of_the_folder_it_stands_in(foreign: Path, tmp_path: Path) -> None:
    # An empty entry of the path, as from PYTHONPATH=$PYTHONPATH:/some/folder, is the folder. With such a path Python
    # itself looks for these there, before any line of ours.
    for name in ("sitecustomize", "usercustomize", "__future__", "producer"):
        (foreign / f"{name}.py").unlink()
    variables = environment(tmp_path, PYTHONPATH=f":.:{_ROOT}:")
    done = subprocess.run(
        command(tmp_path, "run", "records.jsonl"),
        cwd=foreign,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert executed(tmp_path) == ""
    assert done.returncode == 0, done.stderr


@contextmanager
def running(arguments: list[str], folder: Path, environment: dict[str, str]) -> Generator[subprocess.Popen[bytes]]:
    """A worker or crew that stands in the folder, ready."""
    log = folder.parent / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            arguments, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
    try:
        wait_until(lambda: process.poll() is not None or _READY in log.read_text(), describe=f"ready; {log}")
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("how", "end"),
    [
        (("persqa", "worker", "--image-roots", "."), signal.SIGHUP),
        (("-m", "worker.crew", "--gpus", "0"), signal.SIGTERM),
    ],
)
def test_a_worker_executes_nothing_of_the_folder_it_stands_in(
    foreign: Path, tmp_path: Path, how: tuple[str, ...], end: signal.Signals
) -> None:
    if how[0] == "-m":
        # Python looks for the program itself there first; `python -P -m worker` does not.
        (foreign / "worker.py").unlink()
    with valkey_server() as url:
        path = nvidia_smi.install(tmp_path / "smi", nvidia_smi.THREE)
        variables = environment(tmp_path, PERSQA_BROKER_URL=url, PERSQA_IMAGE_ROOTS=str(foreign), PATH=path)
        arguments = [sys.executable, *how] if how[0] == "-m" else command(tmp_path, *how[1:])
        with running(arguments, foreign, variables) as process:
            assert executed(tmp_path) == ""
            process.send_signal(end)
            assert process.wait(30) == 0, (tmp_path / "log").read_text()
    assert executed(tmp_path) == ""


@pytest.mark.parametrize(
    ("module", "code"),
    [("worker.process.probe", 2), ("producer.cli", 0), ("persqa", 0)],
    ids=["probe", "command line", "front door"],
)
def test_a_small_program_executes_nothing_either(foreign: Path, tmp_path: Path, module: str, code: int) -> None:
    (foreign / f"{module.split('.')[0]}.py").unlink()
    argument = "readyz" if code else "doctor"
    arguments = [sys.executable, "-m", module, argument]
    done = subprocess.run(
        arguments, cwd=foreign, env=environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert executed(tmp_path) == ""
    assert done.returncode == code, done.stderr


@pytest.mark.parametrize("name", ["Client", "RunHandle", "dataflow.FileStorage"])
def test_the_front_door_opens_beside_a_file_with_the_name_of_our_own_package(tmp_path: Path, name: str) -> None:
    for package in ("producer", "worker"):
        (tmp_path / f"{package}.py").write_text(_trap(tmp_path))
    module, _, thing = f"persqa.{name}".rpartition(".")
    program = tmp_path / "program.py"
    program.write_text(f"import persqa\nfrom {module} import {thing}\nprint(persqa.__version__, {thing}.__module__)\n")
    done = subprocess.run([sys.executable, program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert executed(tmp_path) == ""
    assert done.stdout.startswith(f"{metadata.version('persqa')} producer."), done.stderr


def test_a_program_that_has_loaded_another_producer_is_told_which(tmp_path: Path) -> None:
    (tmp_path / "producer.py").touch()
    program = tmp_path / "program.py"
    program.write_text("import producer\nfrom persqa import Client\n")
    done = subprocess.run([sys.executable, program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    said = "has the name of PersQA's own package 'producer': give it another name"
    assert done.stderr.splitlines()[-1] == f"ImportError: {tmp_path / 'producer.py'} {said}"


def test_only_what_an_absolute_path_names_is_code(foreign: Path, tmp_path: Path) -> None:
    (tmp_path / "named").mkdir()
    (tmp_path / "named" / "wanted.py").touch()
    safe = own_code_only({**os.environ, "PYTHONPATH": f":.:{tmp_path / 'named'}:../downloaded::"})
    code = "import wanted, psutil, subprocess, sys; subprocess.run([sys.executable, '-c', 'import redis'], check=True)"
    subprocess.run([sys.executable, "-c", code], cwd=foreign, env=safe, check=True)
    assert executed(tmp_path) == ""


def test_the_settings_file_of_a_folder_does_not_say_what_code_runs(foreign: Path, tmp_path: Path) -> None:
    (foreign / ".env").write_text("PERSQA_ENGINE=psutil:Engine\n")
    variables = environment(tmp_path)
    del variables["PERSQA_ENGINE"]
    done = subprocess.run(
        command(tmp_path, "run", "records.jsonl"),
        cwd=foreign,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"{foreign}/.env: PERSQA_ENGINE decides what code runs" in " ".join(done.stderr.split())
    assert executed(tmp_path) == ""


def test_a_health_check_runs_in_a_folder_that_is_gone(tmp_path: Path) -> None:
    """So it is where it is run beside a container, in the folder of another root."""
    (tmp_path / "gone").mkdir()
    command = f'cd {tmp_path}/gone && rmdir {tmp_path}/gone && "{sys.executable}" -m worker.process.probe readyz'
    done = subprocess.run(
        ["sh", "-c", command],
        env={**os.environ, "PYTHONPATH": str(_ROOT), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (
        2,
        "worker.process.probe: no worker serves such a page: set PERSQA_METRICS_PORT\n",
    )
