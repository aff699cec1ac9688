"""`persqa ui`, and `persqa run --ui`, as a person types them."""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from persqa.settings import load_settings
from producer import Client
from tests.support.asking import ask
from tests.support.builders import write_images
from tests.support.looking import typed
from tests.support.programs import Program
from tests.support.shown_runs import a_shown_run
from tests.support.wait import wait_until
from tests.support.workers import scripted

if TYPE_CHECKING:
    from collections.abc import Generator

_ROOT = Path(__file__).parents[2]
_ADDRESS = re.compile(r"the gallery is at (http://\S+/)")


class _Said:
    """A command that runs, and what it has said so far on both its outputs."""

    def __init__(self, program: Program, said: Path) -> None:
        self.program = program
        self._said = said

    @property
    def text(self) -> str:
        return self._said.read_text()

    def address(self) -> str:
        wait_until(lambda: _ADDRESS.search(self.text) is not None, describe=f"an address in: {self.text}")
        found = _ADDRESS.search(self.text)
        assert found is not None
        return found[1]


@contextmanager
def _started(folder: Path, *arguments: str) -> Generator[_Said]:
    settings = scripted(load_settings(database_url=f"sqlite:///{folder}/persqa.db"), "compliant")
    env = {**os.environ, **settings.environment(), "PYTHONPATH": str(_ROOT)}
    said = Path(tempfile.mkstemp(dir=folder)[1])
    with said.open("wb") as file:
        program = Program(("producer.cli", *arguments), env=env, cwd=folder, stdout=file, stderr=file)
        try:
            yield _Said(program, said)
        finally:
            program.kill()
            program.wait()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_it_shows_what_is_there_until_it_is_told_to_end(tmp_path: Path, number: int, code: int) -> None:
    with _started(tmp_path, "ui") as ui:
        address = ui.address()
        assert "token" not in address
        assert "No run yet" in ask(address).text
        wait_until(lambda: "it is empty: there is no database at" in ui.text, describe="that there is none yet")
        with Client(load_settings(database_url=f"sqlite:///{tmp_path}/persqa.db"), local_worker=False) as client:
            a_shown_run(client, tmp_path / "data", records=2)
        assert "portraits" in ask(address).text
        ui.program.send_signal(number)
        assert ui.program.wait(10) == code
        assert "Traceback" not in ui.text


def test_a_run_has_its_gallery_meanwhile_and_after_it(tmp_path: Path) -> None:
    write_images(tmp_path / "data", 5)
    with _started(tmp_path, "run", "data/records.jsonl", "--ui") as run:
        address = run.address()
        wait_until(lambda: "the gallery goes on at" in run.text, describe="the end of the run", seconds=120)
        assert "records" in ask(address).text
        first = ask(address, "/runs/records/items/10000000000/pictures/0?size=thumb")
        assert first.headers["content-type"] == "image/jpeg"
        assert run.text.index(address) < run.text.index("records")
        assert "look at them" not in run.text
        run.program.send_signal(signal.SIGINT)
        assert run.program.wait(60) == 0
    with _started(tmp_path, "run", "data/records.jsonl") as again:
        assert again.program.wait(120) == 0
        assert again.text.rstrip().splitlines()[-1].startswith("look at them: persqa ui")


def test_what_keeps_it_from_starting_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.db").write_text("no database " * 1000)
    for arguments, code, said in [
        (("--database-url", f"sqlite:///{tmp_path}/text.db"), 2, "is no SQLite database"),
        (("--database-url", "postgresql://127.0.0.1:1/x"), 3, "check host and port in the database URL"),
        (("--database-url", "nonsense"), 2, "database"),
        (("--host", "no.such.host.invalid"), 2, "choose another --port or --host"),
        (("--port", "0"), 2, "--port"),
    ]:
        answer = typed("ui", *arguments)
        assert (answer.code, said in answer.error) == (code, True), answer
    monkeypatch.setitem(sys.modules, "producer.web.server", None)
    answer = typed("ui")
    assert (answer.code, "pip install 'persqa[ui]'" in answer.error) == (2, True), answer
