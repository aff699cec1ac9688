"""`persqa run` with the real vLLM and the noise model: every policy, every bad image."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from persqa.prompts import human_turn
from persqa.tags import Tag
from tests.conftest import Size
from tests.support.builders import write_images
from tests.support.noise_model import noise_settings
from tests.support.one_process import in_one_process
from tests.support.programs import run_program
from tests.support.wait import wait_until

_ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(600)


def persqa(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user would, with nothing but a working directory, and the model that breaks the rule most."""
    environment = {**in_one_process(), **noise_settings().environment(), "PYTHONPATH": str(_ROOT)}
    return run_program("producer.cli", *arguments, env=environment, cwd=folder, seconds=500)


@pytest.fixture(scope="session")
def good(size: Size) -> int:
    """How many good records there are."""
    return size(40, 220)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, good: int) -> Path:
    """A working directory with good records, and a bad one of each kind that the engine or its images can meet."""
    made = tmp_path_factory.mktemp("end-to-end")
    data = write_images(made / "data", good)
    portraits = sorted((_ROOT / "examples" / "images").glob("*.jpg"))
    for index, portrait in enumerate(portraits):
        shutil.copy(portrait, made / "data" / "images" / f"{index}.png")
    (made / "data" / "images" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with data.open("a") as file:
        file.write('{"image": "images/bad.png", "id": "broken"}\n')
        file.write('{"image": "images/none.png", "id": "missing"}\n')
        file.write('{"image": "images/1.png", "tag": "<image>", "id": "placeholder"}\n')
        file.write('{"image": "images/1.png", "tag": "<end_of_utterance>", "id": "special"}\n')
        file.write('{"image": ["images/1.png", "images/2.png"], "id": "two"}\n')
        file.write("not json\n")
    return made


def run(folder: Path, policy: str, *arguments: str) -> dict[str, Any]:
    done = persqa(folder, "run", "data/records.jsonl", "--run", policy, "--tag-policy", policy, "--json", *arguments)
    assert done.stdout, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    # Where nothing is repaired and nothing forced, random weights may well give no good answer at all.
    fruitless = policy == "check" and summary["ok"] == 0
    assert done.returncode == (5 if fruitless else 0), done.stderr
    return summary


def rows(folder: Path, statement: str) -> list[tuple[Any, ...]]:
    database = sqlite3.connect(folder / "persqa.db")
    try:
        return database.execute(statement).fetchall()
    finally:
        database.close()


_POLICIES = ("repair", "check", "prefill")


@pytest.mark.parametrize("policy", _POLICIES)
def test_every_item_of_a_run_ends_with_exactly_one_result(folder: Path, policy: str, good: int, size: Size) -> None:
    # Each loads an engine of its own, and what the others do differently scripted engines show as well.
    if policy not in _POLICIES[: size(1, 3)]:
        pytest.skip("loads another engine: only with --chaos")
    summary = run(folder, policy, "--sampling", '{"temperature": 1.0, "max_tokens": 24}')
    assert summary["submitted"] == good + 6
    assert (summary["invalid"], summary["dead"], summary["pending"]) == (5, 0, 0)
    assert summary["ok"] + summary["noncompliant"] == good + 1
    assert summary["audit_holds"]
    _check_rows(folder, policy, summary)
    _check_policy(folder, policy, good)
    _check_second_submit(folder, policy)
    _check_export(folder, policy)


def test_a_run_that_is_stopped_while_the_model_loads_ends_soon_and_leaves_nothing(tmp_path: Path, size: Size) -> None:
    if not size(0, 1):
        pytest.skip("imports vLLM anew, and scripted engines show the same: only with --chaos")
    data = write_images(tmp_path / "data", 3)
    environment = {**in_one_process(), "PYTHONPATH": str(_ROOT)}
    with subprocess.Popen(
        [sys.executable, "-m", "producer.cli", "run", str(data)], cwd=tmp_path, env=environment, stderr=subprocess.PIPE
    ) as process:
        # The broker and its guard, the worker, and then the engine's own processes.
        started = wait_until(
            lambda: found if len(found := psutil.Process(process.pid).children(recursive=True)) > 3 else [],
            describe="the engine's process is started",
            seconds=200,
        )
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130
    assert not [child for child in started if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def _check_rows(folder: Path, policy: str, summary: dict[str, Any]) -> None:
    items = summary["submitted"]
    chosen = f"from pairs where run = '{policy}'"
    assert dict(rows(folder, f"select status, count(*) {chosen} group by 1")) == {
        status: summary[status] for status in ("ok", "noncompliant", "invalid", "dead") if summary[status]
    }
    reasons = rows(folder, f"select json_extract(record, '$.id'), reason {chosen} and status = 'invalid'"
                           " and json_valid(record) and json_type(record) = 'object'")  # fmt: skip
    assert dict(reasons) == {
        "broken": "broken_image",
        "missing": "not_found",
        "placeholder": "bad_tag",
        "special": "bad_tag",
    }
    assert rows(folder, f"select count(*), count(distinct item_id) {chosen}") == [(items, items)]
    assert rows(
        folder, f"select count(*) {chosen} and json_extract(record, '$.id') = 'two' and answer is not null"
    ) == [(1,)]


def _check_policy(folder: Path, policy: str, good: int) -> None:
    chosen = f"from pairs where run = '{policy}' and answer is not null"
    rungs = Counter(rung for (rung,) in rows(folder, f"select rung {chosen}"))
    if policy == "check":
        # Random weights do not know the tag, so every free answer of theirs is a real violation.
        assert set(rungs) == {"free"}
        assert rows(folder, f"select count(*) {chosen} and status = 'noncompliant'")[0][0] > good / 2
    else:
        assert rows(folder, f"select count(*) {chosen} and answer not like '<mam>%'") == [(0,)] or policy == "repair"
        assert rungs["prefill"] > good / 2
        assert rows(folder, f"select count(*) {chosen} and forced <> (rung = 'prefill')") == [(0,)]
    if policy == "prefill":
        assert set(rungs) == {"prefill"}
        assert rows(folder, f"select count(*) {chosen} and status = 'ok'")[0][0] > good / 2


def _check_second_submit(folder: Path, policy: str) -> None:
    """Nothing is enqueued again: no worker is started, so this takes no time to load a model."""
    log = folder / "persqa-worker.log"
    size = log.stat().st_size
    assert run(folder, policy, "--sampling", '{"temperature": 1.0, "max_tokens": 24}')["pending"] == 0
    assert log.stat().st_size == size
    assert persqa(folder, "audit", policy).returncode == 0


def _check_export(folder: Path, policy: str) -> None:
    assert persqa(folder, "export", policy, f"{policy}.jsonl", "--output-key", "pers_qa").returncode == 0
    given = (folder / "data" / "records.jsonl").read_text().splitlines()
    exported = [json.loads(line) for line in (folder / f"{policy}.jsonl").read_text().splitlines()]
    stored = rows(folder, f"select tag, question, answer from pairs where run = '{policy}' order by item_id")
    assert len(exported) == len(given) == len(stored)
    for line, record, (tag, question, answer) in zip(given, exported, stored, strict=True):
        if line == "not json":
            assert record == {"record": "not json", "pers_qa": None}
            continue
        given_record = json.loads(line)
        # As paths are relative to the folder that their file is in, and the two files are not in the same one.
        images = given_record["image"]
        moved = f"data/{images}" if isinstance(images, str) else [f"data/{image}" for image in images]
        wanted = {**given_record, "image": moved, "pers_qa": answer}
        if question:  # none was drawn for a record that is wrong in itself
            wanted["conversation"] = [{"from": "human", "value": human_turn(Tag(tag), question)}]
        assert record == wanted
