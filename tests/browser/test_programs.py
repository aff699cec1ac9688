"""`persqa serve` as a process, with the examples of docs/http.md: what a shell and a browser's page do by HTTP."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
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
    from playwright.sync_api import Browser

_ROOT = Path(__file__).parents[2]


def example(language: str) -> str:
    """The example of the page in this language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", (_ROOT / "docs" / "http.md").read_text(), re.DOTALL)
    return found


def test_the_examples_run_and_the_server_ends_in_order(browser: Browser, tmp_path: Path) -> None:
    write_images(tmp_path, 1)
    picture = next((tmp_path / "images").iterdir())
    (tmp_path / "new.jpg").write_bytes(picture.read_bytes())
    (tmp_path / "more.jsonl").write_text(f'{{"id": "3", "image": "{picture}"}}\n{{"id": "4", "image": "{picture}"}}')
    with valkey_server() as broker:
        where = {"database_url": f"sqlite:///{tmp_path}/persqa.db", "blob_store": f"{tmp_path}/blobs"}
        settings = load_settings(broker_url=broker, image_roots=[tmp_path], commit_seconds=0.05, **where)
        environment = {**os.environ, **settings.environment(), "PERSQA_SUBMIT_TOKEN": SUBMIT, "PYTHONPATH": str(_ROOT)}
        out, err = tmp_path / "out", tmp_path / "err"
        with (
            WorkerProcess(scripted(settings, "compliant"), tmp_path) as worker,
            out.open("wb") as stdout,
            err.open("wb") as stderr,
        ):
            server = Program(["producer.cli", "serve"], env=environment, cwd=tmp_path, stdout=stdout, stderr=stderr)
            try:
                wait_until(lambda: "programs ask at" in out.read_text(), describe=f"it serves; {err}")
                gallery, root = re.findall(r"http://\S+?(?=,? |\n|,)", out.read_text())
                (read,) = re.findall(r"the token to read is (\S+)", err.read_text())
                assert SUBMIT not in out.read_text() + err.read_text()
                worker.wait_ready()

                told = subprocess.run(
                    ["bash", "-e", "-c", example("sh")],
                    env={**os.environ, "PERSQA": root, "TOKEN": SUBMIT},
                    cwd=tmp_path,
                    capture_output=True,
                    text=True,
                    timeout=120,
                    check=False,
                )
                assert told.returncode == 0, told
                assert (tmp_path / "answers.jsonl").read_text().count('"cursor"') == 4
                with Client(settings, local_worker=False) as client:
                    assert {row.record["id"]: row.status for row in client.run("camera").results()} == {
                        "1": "ok", "2": "invalid", "3": "ok", "4": "ok"
                    }  # fmt: skip

                page = browser.new_page()
                page.goto(gallery)
                call = f"async ([root, token, bytes]) => {{ {example('js')}; const picture = new Blob(bytes);"
                call += " return answers(root, token, picture); }"
                given = ["/api/v1", SUBMIT, list(map(str, range(9)))]
                assert len(page.evaluate(call, given)) == 1
                # A page of another site, which even knows the token, may not ask.
                page.goto(gallery.replace("127.0.0.1", "localhost"))
                with pytest.raises(Error, match="Failed to fetch"):
                    page.evaluate(call, [root, SUBMIT, given[2]])
                page.close()

                program = programs_by_http.Program(root)
                assert program.ask("PUT", "/runs/camera2").status == 200
                with ThreadPoolExecutor(1) as threads:
                    followed = threads.submit(programs_by_http.Program(root, read).results, "camera2", "?follow=true")
                    assert program.add("camera2", {"id": "5", "image": str(picture)}).status == 200
                    wait_until(lambda: program.ask("GET", "/runs/camera2").json["ok"] == 1, describe="it is answered")
                    server.send_signal(signal.SIGTERM)
                    assert [row["status"] for row in followed.result(60).rows] == ["ok"]
                assert server.wait(30) == 143
                assert "Traceback" not in err.read_text()
            finally:
                server.kill()


def test_it_refuses_what_it_cannot_serve(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "PERSQA_SUBMIT_TOKEN": "same", "PERSQA_READ_TOKEN": "same"}
    for arguments, said in (
        ([], "no broker"),
        (["--broker-url", "redis://localhost:1/0"], "PERSQA_READ_TOKEN: is the same as PERSQA_SUBMIT_TOKEN"),
    ):
        ended = run_program("producer.cli", "serve", *arguments, env=environment, cwd=tmp_path)
        assert (ended.returncode, said in ended.stderr) == (2, True), ended.stderr
