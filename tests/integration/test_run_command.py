"""`persqa run` and the other commands as a person types them, with a scripted engine."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from persqa.broker.connection import connect
from persqa.settings import load_settings
from persqa.store import Store
from persqa.verdicts import ViolationKind
from producer import Client
from tests.support.builders import write_images
from tests.support.programs import run_program
from tests.support.servers import valkey_server
from tests.support.wait import wait_until
from tests.support.workers import scripted

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator


_ROOT = Path(__file__).parents[2]


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """Thirty records in a folder of their own."""
    yield write_images(tmp_path / "data", 30)
    assert not [process for process in psutil.process_iter(["cmdline"]) if belongs(process, tmp_path)]


def belongs(process: psutil.Process, folder: Path) -> bool:
    """Whether it is a worker that works on this folder's database."""
    try:
        return process.environ().get("PERSQA_DATABASE_URL", "").startswith(f"sqlite:///{folder}")
    except psutil.Error:
        return False


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def environment(folder: Path, script: str) -> dict[str, str]:
    settings = scripted(load_settings(database_url=f"sqlite:///{folder}/persqa.db"), script)
    return {**os.environ, **settings.environment(), "PYTHONPATH": str(_ROOT)}


def persqa(folder: Path, *arguments: str, script: str = "compliant") -> subprocess.CompletedProcess[str]:
    return run_program("producer.cli", *arguments, env=environment(folder, script), cwd=folder)


@contextmanager
def worker_of(folder: Path, *options: str) -> Generator[subprocess.Popen[bytes]]:
    """A worker of a broker, as a person starts it; gone at the end of the block, however that is left."""
    with subprocess.Popen(
        [sys.executable, "-m", "producer.cli", "worker", *options, "--image-roots", "."],
        cwd=folder, env=environment(folder, "compliant"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as worker:  # fmt: skip
        try:
            yield worker
        finally:
            # `Popen` itself waits for its end, which nobody has asked of it when an assertion fails.
            worker.kill()


def test_run_does_everything_and_its_summary_is_what_the_database_says(data: Path, tmp_path: Path) -> None:
    with data.open("a") as file:
        file.write('{"image": "images/none.png"}\n{"no": "image"}\n')
    done = persqa(tmp_path, "run", str(data), script="never_the_tag")
    assert done.returncode == 0, done.stderr
    assert "all 32 items accounted for" in done.stdout
    lines = [line.split() for line in done.stdout.splitlines()]
    counts = {words[0]: words[1] for words in lines if len(words) == 2}
    assert (counts["ok"], counts["invalid"], counts["missing_tag"]) == ("30", "2", "60")
    with sqlite3.connect(tmp_path / "persqa.db") as database:
        rows = database.execute("select status, count(*) from results group by 1").fetchall()
    database.close()
    assert dict(rows) == {"ok": 30, "invalid": 2}
    assert persqa(tmp_path, "audit").returncode == 0


def test_run_again_asks_nothing_again(data: Path, tmp_path: Path) -> None:
    assert persqa(tmp_path, "run", str(data)).returncode == 0
    again = persqa(tmp_path, "run", str(data), "--json", script="dies")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["ok"] == 30


def test_the_demo_model_is_not_asked_silently_what_it_was_not_trained_on(data: Path, tmp_path: Path) -> None:
    (tmp_path / "mood.txt").write_text("mood: How does {tag} feel?\nWhat color are {tag}'s eyes?\n")
    known = persqa(tmp_path, "run", str(data)).stderr
    assert "model: demo" in known
    assert "the pool human" in known
    assert "warning" not in known
    partly = persqa(tmp_path, "run", str(data), "--run", "mood", "--pool", "mood.txt").stderr
    assert "not trained on 1 of the 2 questions of the pool mood.txt" in partly
    assert "How does {tag} feel?" in partly
    named = persqa(tmp_path, "run", str(data), "--run", "named", "--pool", "object", "--model", "another").stderr
    # The path of the worker's log, which has the name of this test in it, is no word about the model.
    assert "demo" not in named.replace(str(tmp_path), "")


def test_the_run_ends_with_code_3_when_its_worker_dies_and_goes_on_later(data: Path, tmp_path: Path) -> None:
    died = persqa(tmp_path, "run", str(data), script="dies")
    assert died.returncode == 3
    assert "the engine died, as scripted" in died.stderr
    assert "Traceback" not in died.stderr.split("the end of")[0]
    assert persqa(tmp_path, "run", str(data)).returncode == 0


@pytest.mark.parametrize(
    ("how", "ready"),
    [(signal.SIGINT, True), (signal.SIGTERM, True), (signal.SIGKILL, True), (signal.SIGINT, False)],
)
def test_nothing_is_left_running_however_the_run_is_stopped(
    data: Path, tmp_path: Path, how: signal.Signals, *, ready: bool
) -> None:
    command = [sys.executable, "-m", "producer.cli", "run", str(data)]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(tmp_path, "slow"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        log = tmp_path / "persqa-worker.log"
        # The broker and its guard, and the worker.
        children = psutil.Process(process.pid).children
        wait_until(lambda: len(children(recursive=True)) > 2, describe="all are started")
        if ready:
            wait_until(lambda: log.exists() and " ready." in log.read_text(), describe="the worker is ready")
        started = children(recursive=True)
        process.send_signal(how)
        process.communicate(timeout=60)
    wait_until(lambda: not any(lives(child) for child in started), describe=f"{started} end")
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[how]
    assert persqa(tmp_path, "run", str(data)).returncode == 0


def test_a_run_without_one_good_answer_is_no_success(data: Path, tmp_path: Path) -> None:
    for policy in ("repair", "check"):
        done = persqa(tmp_path, "run", str(data), "--run", policy, "--tag-policy", policy, script="always_broken")
        assert done.returncode == 5
        # Which rule the answer breaks is another's to say: it depends on what was put before it.
        (kind,) = re.findall(r"no item is ok: 30 noncompliant; each time (\w+); after mending it: ", done.stderr)
        assert kind in list(ViolationKind)
        assert "all 30 items accounted for" in done.stdout
    assert persqa(tmp_path, "submit", str(data), "--run", "check", "--tag-policy", "check", "--wait",
                  "--broker-url", "redis://127.0.0.1:1/0").returncode == 5  # fmt: skip


def test_every_looking_command_prints_a_table_and_json(data: Path, tmp_path: Path) -> None:
    persqa(tmp_path, "run", str(data), script="never_the_tag")
    for command, words in {
        ("status",): "records",
        ("status", "records"): "records",
        ("results", "records", "--limit", "3"): "--limit 0",
        ("results", "records", "--violations"): "missing_tag",
        ("results", "records", "--status", "dead"): "no rows",
        ("audit",): "yes",
        ("doctor",): "celery",
        ("export", "records", "out.jsonl", "--overwrite"): "30 rows",
        ("requeue", "records", "--status", "dead"): "no dead item",
    }.items():
        table = persqa(tmp_path, *command)
        assert (table.returncode, table.stderr) == (0, ""), table.stderr
        assert words in table.stdout
        raw = persqa(tmp_path, *command, "--json")
        assert raw.returncode == 0
        for line in raw.stdout.splitlines():
            json.loads(line)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "missing.jsonl"), "no such file"),
        (("submit", "data/records.jsonl"), "no broker is named"),
        (("worker",), "no broker is named"),
        (("worker", "--broker-url", "redis://nowhere"), "--image-roots"),
        (("worker", "--broker-url", "redis://nowhere", "--gpus", "all"), "--image-roots"),
        (("results", "nobody"), "there is no database at"),
        (("run", "data/records.jsonl", "--tag", "no tag"), "is not a tag"),
        (("run", "data/records.jsonl", "--sampling", "{"), "--sampling: not valid JSON"),
        (("run", "data/records.jsonl", "--sampling", "5"), "expected a JSON object"),
        (("status", "--database-url", "mysql://u:geheim@h/x"), "mysql://u:***@h/x"),
    ],
)
def test_what_is_typed_wrong_is_one_clear_sentence(
    data: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    assert data.exists()
    done = persqa(tmp_path, *arguments)
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert "geheim" not in done.stderr


def test_an_unreachable_broker_is_code_3(data: Path, tmp_path: Path) -> None:
    done = persqa(tmp_path, "submit", str(data), "--broker-url", "redis://:geheim@127.0.0.1:1/0")
    assert done.returncode == 3
    assert "geheim" not in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unreachable_broker_is_code_3_for_status_too(tmp_path: Path) -> None:
    Store.open(f"sqlite:///{tmp_path}/persqa.db").close()
    done = persqa(tmp_path, "status", "--broker-url", "redis://:geheim@127.0.0.1:1/0")
    assert (done.returncode, "Traceback" in done.stderr, "geheim" in done.stderr) == (3, False, False)


def test_submit_worker_and_status_work_together(data: Path, tmp_path: Path) -> None:
    with valkey_server() as url:
        broker = ("--broker-url", url)
        submitted = json.loads(persqa(tmp_path, "submit", str(data), *broker, "--json").stdout)
        assert submitted == {"run": "records", "records": 30, "enqueued": 30, "invalid": 0, "passed_over": []}
        queues = json.loads(persqa(tmp_path, "status", *broker, "--json").stdout)["queues"]
        assert [queue["waiting"] for queue in queues if queue["waiting"]] == [30]
        with worker_of(tmp_path, *broker) as worker:
            waited = persqa(tmp_path, "submit", str(data), *broker, "--wait", "--json")
            assert waited.returncode == 0
            facts = json.loads(persqa(tmp_path, "status", *broker, "--json").stdout)
            assert [found["model"] for found in facts["workers"]] == ["scripted"]
            assert facts["runs"][0]["ok"] == 30
            named = persqa(tmp_path, "submit", str(data), *broker, "--run", "named", "--model", "org/none/")
            assert (
                "warning: no worker serves org/none (they serve scripted); what names it waits until one does"
                in " ".join(named.stderr.split())
            )
            assert named.returncode == 0
            (warning,) = json.loads(persqa(tmp_path, "status", *broker, "--json").stdout)["warnings"]
            assert warning in " ".join(persqa(tmp_path, "status", *broker).stdout.split())
            assert facts["warnings"] == []
            assert (
                "PERSQA_IMAGE_ROOTS is not set: this machine can submit" in persqa(tmp_path, "doctor", *broker).stdout
            )
            worker.terminate()
            assert worker.wait(30) == 0


def test_the_python_client_of_the_readme_works_as_written(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(tmp_path, "compliant").items():
        monkeypatch.setenv(name, value)
    with Client() as client:
        run = client.submit(str(data), tag="mam")
        run.wait()
        assert [row.status for row in run.results()] == ["ok"] * 30
        assert list(run.violations()) == []
        assert run.export("out.json", output_key="pers_qa") == 30
    assert len(json.loads(Path("out.json").read_text())) == 30


def test_run_brings_a_worker_to_a_broker_that_is_named_and_leaves_the_broker(data: Path, tmp_path: Path) -> None:
    with valkey_server() as url:
        done = persqa(tmp_path, "run", str(data), "--broker-url", url)
        assert done.returncode == 0, done.stderr
        assert connect(url).ping()
