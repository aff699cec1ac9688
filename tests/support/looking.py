"""Looking at databases: as a user whom permissions bind, though root runs the tests; and what must not change."""

from __future__ import annotations

import ctypes
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from persqa.store import Store
from producer.cli import main
from tests.support.builders import a_stored_run, an_outcome
from tests.support.databases import with_tables

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

_ROOT = Path(__file__).parents[2]
_TYPE_ALL = """
import json, sys
from dataclasses import asdict
from tests.support.looking import typed
print(json.dumps([asdict(typed(*arguments)) for arguments in json.loads(sys.argv[1])]))
"""


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Capabilities(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


_LIBC = ctypes.CDLL(None)
#: Version 3, of this thread.
_HEADER = _Header(0x20080522, 0)
#: CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH.
_OVERRIDE_AND_SEARCH = 1 << 1 | 1 << 2


@dataclass(frozen=True)
class Answer:
    """What a command said, and after how many seconds; on a busy machine 5 s are still at once."""

    code: int
    out: str
    error: str
    seconds: float

    @property
    def at_once(self) -> bool:
        return self.seconds < 5


def typed(*arguments: str) -> Answer:
    """One command in this process, as the command line runs it."""
    out, error = io.StringIO(), io.StringIO()
    given, handler, began, code = sys.argv, signal.getsignal(signal.SIGTERM), time.monotonic(), 0
    sys.argv = ["persqa", *arguments]
    try:
        with redirect_stdout(out), redirect_stderr(error):
            main()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.argv = given
        signal.signal(signal.SIGTERM, handler)
    return Answer(code, out.getvalue(), " ".join(error.getvalue().split()), time.monotonic() - began)


@contextmanager
def bound() -> Generator[None]:
    """Let this thread be bound by permissions, as root's are not."""
    if os.geteuid() != 0:
        yield
        return
    data = (_Capabilities * 2)()
    assert _LIBC.capget(ctypes.byref(_HEADER), data) == 0
    all_of_them = data[0].effective
    data[0].effective = all_of_them & ~_OVERRIDE_AND_SEARCH
    assert _LIBC.capset(ctypes.byref(_HEADER), data) == 0
    try:
        yield
    finally:
        data[0].effective = all_of_them
        assert _LIBC.capset(ctypes.byref(_HEADER), data) == 0


def typed_read_only(*commands: Sequence[str], folder: Path) -> list[Answer]:
    """Commands in a process of their own, to which that folder is mounted read-only."""
    mount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    behind = ["unshare", "--mount", "sh", "-c", mount, str(folder)]
    if shutil.which("unshare") is None or subprocess.run([*behind, "true"], check=False).returncode:
        pytest.skip("this user may not mount")
    ended = subprocess.run(
        [*behind, sys.executable, "-c", _TYPE_ALL, json.dumps(commands)],
        env={**os.environ, "PYTHONPATH": str(_ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return [Answer(**answer) for answer in json.loads(ended.stdout)]


def contents(folder: Path) -> dict[str, bytes]:
    """What is in a folder; of -shm only that it is there, as SQLite keeps its locks in it."""
    return {file.name: b"" if file.name.endswith("-shm") else file.read_bytes() for file in sorted(folder.iterdir())}


@contextmanager
def a_database(folder: Path, state: str) -> Generator[Path]:
    """A folder with a database of one run, whose second result may be in the WAL only.

    It is `closed`, `in use`, as somebody who was `killed` left it, or a `snapshot` without -shm of one in use.
    """
    origin = folder / "origin"
    origin.mkdir()
    url = with_tables(origin / "persqa.db")
    with closing(Store.open(url)) as store:
        _, batch = a_stored_run(store, 2)
        store.results.commit([an_outcome(batch[0])])
    with closing(Store.open(url)) as store:
        store.results.commit([an_outcome(batch[1])])
        if state == "in use":
            yield origin
            return
        copied = folder / "copied"
        copied.mkdir()
        if state in {"killed", "snapshot"}:
            _copy((file for file in origin.iterdir() if state == "killed" or not file.name.endswith("-shm")), copied)
    if state == "closed":
        _copy(origin.iterdir(), copied)
    yield copied


@contextmanager
def unwritable(folder: Path) -> Generator[None]:
    """Let nobody write in a folder, nor its files."""
    files = list(folder.iterdir())
    try:
        for file in files:
            file.chmod(0o444)
        folder.chmod(0o555)
        yield
    finally:
        folder.chmod(0o755)
        for file in files:
            file.chmod(0o644)


def _copy(files: Iterable[Path], folder: Path) -> None:
    for file in files:
        shutil.copy(file, folder)
