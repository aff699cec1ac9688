"""`persqa serve` as a process, with the examples of docs/http.md: what a shell and a browser's page do by HTTP."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Error

from persqa.settings import load_settings
from producer import Client
from tests.support import programs_by_http
from tests.support.builders import write_images
from tests.support.programs import Program, run_program
from tests.support.programs_by_http import SUBMIT
from tests.support.servers import valkey_server
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from collections.abc import Generator

    from playwright.sync_api import Browser

    from persqa.settings import Settings

_ROOT = Path(__file__).parents[2]


def example(language: str) -> str:
    """The example of the page in this language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", (_ROOT / "docs" / "http.md").read_text(), re.DOTALL)
    return found


@dataclass(frozen=True, slots=True)
class Serving:
    """A server that runs as a process, and where it has said that it is."""

    process: Program
    gallery: str
    root: str
    read: str


@contextmanager
def serving(settings: Settings, folder: Path) -> Generator[Serving]:
    """`persqa serve` with one token set, and a worker beside it."""
    environment = {**os.environ, **settings.environment(), "PERSQA_SUBMIT_TOKEN": SUBMIT, "PYTHONPATH": str(_ROOT)}
    out, err = folder / "out", folder / "err"
    with (
        WorkerProcess(scripted(settings, "compliant"), folder) as worker,
        out.open("wb") as to,
        err.open("wb") as notes,
    ):
        process = Program(["producer.cli", "serve"], env=environment, cwd=folder, stdout=to, stderr=notes)
        try:
            wait_until(lambda: "the token to read" in err.read_text(), describe=f"it serves; {err}", seconds=60)
            gallery, root = re.findall(r"http://[^\s,]+", out.read_text())
            (read,) = re.findall(r"the token to read is (\S+)", err.read_text())
            worker.wait_ready()
            yield Serving(process, gallery, root, read)
            assert "Traceback" not in err.read_text()
            assert SUBMIT not in out.read_text() + err.read_text()
        finally:
            process.kill()
            process.wait()


def test_the_examples_run_and_the_server_ends_in_order(browser: Browser, tmp_path: Path) -> None:
    write_images(tmp_path, 1)
    picture = tmp_path / "images" / "0.png"
    (tmp_path / "new.jpg").write_bytes(picture.read_bytes())
    (tmp_path / "more.jsonl").write_text(f'{{"id": "3", "image": "{picture}"}}\n{{"id": "4", "image": "{picture}"}}')
    with valkey_server() as broker:
        where = {"database_url": f"sqlite:///{tmp_path}/persqa.db", "blob_store": f"{tmp_path}/blobs"}
        settings = load_settings(broker_url=broker, image_roots=[tmp_path], commit_seconds=0.05, **where)
        with serving(settings, tmp_path) as server:
            _by_curl(server, settings, tmp_path)
            _by_javascript(server, browser)
            _until_it_ends(server, picture)


def _by_curl(server: Serving, settings: Settings, folder: Path) -> None:
    told = subprocess.run(
        ["bash", "-e", "-c", example("sh")],
        env={**os.environ, "PERSQA": server.root, "TOKEN": SUBMIT},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 0, told
    assert (folder / "answers.jsonl").read_text().count('"cursor"') == 4
    with Client(settings, local_worker=False) as client:
        statuses = {row.record["id"]: row.status for row in client.run("camera").results()}
    assert statuses == {"1": "ok", "2": "invalid", "3": "ok", "4": "ok"}


def _by_javascript(server: Serving, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(server.gallery)
    call = f"async ([root, token]) => {{ {example('js')}; return answers(root, token, new Blob(['no picture'])); }}"
    assert len(page.evaluate(call, ["/api/v1", SUBMIT])) == 1
    # A page of another site, which even knows the token, may not ask.
    page.goto(server.gallery.replace("127.0.0.1", "localhost"))
    with pytest.raises(Error, match="Failed to fetch"):
        page.evaluate(call, [server.root, SUBMIT])
    page.close()


def _until_it_ends(server: Serving, picture: Path) -> None:
    program = programs_by_http.Program(server.root)
    assert program.ask("PUT", "/runs/open").status == 200
    with ThreadPoolExecutor(1) as threads:
        reader = programs_by_http.Program(server.root, server.read)
        followed = threads.submit(reader.results, "open", "?follow=true")
        assert program.add("open", {"id": "5", "image": str(picture)}).status == 200
        wait_until(lambda: program.ask("GET", "/runs/open").json["ok"] == 1, describe="it is answered")
        server.process.send_signal(signal.SIGTERM)
        # What it was sending ends in order; who follows goes on from its cursor.
        assert followed.result(60).status == 200
    assert server.process.wait(30) == 0


def test_it_refuses_what_it_cannot_serve(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "PERSQA_SUBMIT_TOKEN": "same", "PERSQA_READ_TOKEN": "same"}
    for arguments, said in (
        ([], "no broker"),
        (["--broker-url", "redis://localhost:1/0"], "PERSQA_READ_TOKEN: is the same as PERSQA_SUBMIT_TOKEN"),
    ):
        ended = run_program("producer.cli", "serve", *arguments, env=environment, cwd=tmp_path)
        assert (ended.returncode, said in ended.stderr) == (2, True), ended.stderr
