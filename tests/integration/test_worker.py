"""A worker process on real servers: every way an item can go, with a scripted engine."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery

from persqa.broker.connection import celery_url, connect
from persqa.broker.envelope import EnvelopeBuilder
from persqa.broker.keys import HELD, QUEUE
from persqa.messages import TASK_NAME, item_messages
from persqa.policies import Rung
from persqa.results import Status
from persqa.runs import RunId
from producer import Client, RunHandle
from tests.support.builders import a_run, an_item, colour_of, write_images
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from persqa.pairs import PairRow
    from persqa.settings import Settings
    from tests.conftest import Site


def quiet(_progress: object) -> None:
    """No progress bar in tests."""


def answer_all(settings: Settings, data: Path, folder: Path, **options: Any) -> tuple[Client, RunHandle]:
    """Submit, answer with one worker, and hand out the finished run."""
    client = Client(settings)
    run = client.submit(data, **options)
    with WorkerProcess(settings, folder):
        run.wait(timeout_seconds=60, display=quiet)
    return client, run


def counts(run: RunHandle) -> dict[str, int]:
    return {status.value: number for status, number in run.progress().ended.items() if number}


@pytest.mark.parametrize(
    ("script", "policy", "expected", "rungs", "kinds"),
    [
        ("compliant", "check", {"ok": 12}, {"free": 12}, {}),
        ("compliant", "repair", {"ok": 12}, {"free": 12}, {}),
        ("compliant", "prefill", {"ok": 12}, {"prefill": 12}, {}),
        ("never_the_tag", "check", {"noncompliant": 12}, {"free": 12}, {"missing_tag": 12}),
        ("never_the_tag", "repair", {"ok": 12}, {"prefill": 12}, {"missing_tag": 24}),
        ("never_the_tag", "prefill", {"ok": 12}, {"prefill": 12}, {}),
        ("always_broken", "repair", {"noncompliant": 12}, {"prefill": 12}, {"empty": 24, "tag_only": 12}),
        ("truncated", "check", {"noncompliant": 12}, {"free": 12}, {"truncated": 12}),
    ],
)
def test_each_policy_climbs_its_ladder_and_records_every_broken_generation(  # noqa: PLR0913 - columns of the table
    site: Site,
    tmp_path: Path,
    script: str,
    policy: str,
    expected: dict[str, int],
    rungs: dict[str, int],
    kinds: dict[str, int],
) -> None:
    client, run = answer_all(
        scripted(site.settings, script), write_images(tmp_path / "data", 12), tmp_path, tag_policy=policy
    )
    with client:
        rows = list(run.results())
        assert counts(run) == expected
        assert {rung: [row.rung for row in rows].count(Rung(rung)) for rung in rungs} == rungs
        assert run.violation_kinds() == kinds
        assert all(row.forced == (row.rung == Rung.PREFILL) for row in rows)
        violations = list(run.violations())
        for row in rows:
            mine = [violation for violation in violations if violation.item_id == row.item_id]
            assert row.generations == len(mine) + (row.status == Status.OK)
            assert row.reason == (None if row.status == Status.OK else mine[-1].kind)


def test_another_seed_may_repair_an_answer_without_forcing_it(site: Site, tmp_path: Path) -> None:
    client, run = answer_all(scripted(site.settings, "second_try"), write_images(tmp_path / "data", 60), tmp_path)
    with client:
        rungs = {row.rung for row in run.results(status="ok")}
        assert {Rung.FREE, Rung.RESEED} <= rungs
        assert run.progress().ended[Status.OK] + run.progress().ended[Status.NONCOMPLIANT] == 60


def test_the_right_answer_is_on_the_right_row_with_two_workers_and_shuffled_latencies(
    site: Site, tmp_path: Path
) -> None:
    settings = scripted(site.settings, "reads_colour")
    data = write_images(tmp_path / "data", 2000)
    with Client(settings) as client, WorkerProcess(settings, tmp_path), WorkerProcess(settings, tmp_path):
        run = client.submit(data)
        run.wait(timeout_seconds=120, display=quiet)
        rows = list(run.results())
        assert len({row.item_id for row in rows}) == len(rows) == 2000
        wrong: list[PairRow] = []
        for row in rows:
            index = row.record["id"]
            assert isinstance(index, int)
            red, green, blue = colour_of(index)
            if row.answer != f"<mam> is {red}-{green}-{blue}" or row.position != index:
                wrong.append(row)
        assert wrong == []
        assert len({row.worker for row in rows}) == 2


def test_what_one_item_does_leaves_its_neighbours_alone(site: Site, tmp_path: Path) -> None:
    client, run = answer_all(scripted(site.settings, "too_long"), write_images(tmp_path / "data", 30), tmp_path)
    with client:
        assert counts(run) == {"ok": 20, "invalid": 10}
        assert {(row.reason, row.detail) for row in run.results(status="invalid")} == {
            ("too_long", "the prompt has 9000 tokens, the model takes 2048")
        }


def test_a_defect_ends_its_item_as_dead_with_a_reason(site: Site, tmp_path: Path) -> None:
    client, run = answer_all(scripted(site.settings, "defect"), write_images(tmp_path / "data", 30), tmp_path)
    with client:
        assert counts(run) == {"ok": 20, "dead": 10}
        assert {row.reason for row in run.results(status="dead")} == {"internal_error"}
        assert "nobody thought of this" in str(next(run.results(status="dead")).detail)


def test_hostile_text_is_stored_with_its_neighbours(site: Site, tmp_path: Path) -> None:
    client, run = answer_all(scripted(site.settings, "hostile_text"), write_images(tmp_path / "data", 5), tmp_path)
    with client:
        assert {row.answer for row in run.results()} == {"<mam> nul \ufffd surrogate \ufffd end"}


def test_every_bad_image_ends_with_its_reason_among_good_neighbours(site: Site, tmp_path: Path) -> None:
    data = write_images(tmp_path / "data", 20)
    expected = _spoil(data)
    settings = scripted(site.settings, "compliant").model_copy(update={"image_roots": [data.parent]})
    client, run = answer_all(settings, data, tmp_path)
    with client:
        found = {str(row.record["id"]): row for row in run.results() if row.status != "ok"}
        assert {name: row.reason for name, row in found.items()} == expected
        assert counts(run) == {"ok": 20, "invalid": len(expected)}
        assert all(row.detail for row in found.values())


def _spoil(data: Path) -> dict[str, str]:
    """Add a record for every way an image can be bad; gives the reason expected for each."""
    images = data.parent / "images"
    good = (images / "0.png").read_bytes()
    (images / "empty.png").touch()
    (images / "truncated.png").write_bytes(good[:-30])
    (images / "text.png").write_text("no image")
    (images / "folder.png").mkdir()
    os.mkfifo(images / "fifo.png")
    (data.parent.parent / "outside.png").write_bytes(good)
    (images / "link.png").symlink_to(data.parent.parent / "outside.png")
    with (images / "large.png").open("wb") as file:
        file.truncate(65 * 2**20)
    bombs = _png_of(60_000, 60_000)
    (images / "bomb.png").write_bytes(bombs)
    expected = {
        "missing.png": "not_found",
        "empty.png": "empty_file",
        "truncated.png": "broken_image",
        "text.png": "not_an_image",
        "folder.png": "not_a_file",
        "fifo.png": "not_a_file",
        "link.png": "outside_roots",
        "../../outside.png": "outside_roots",
        "large.png": "too_many_bytes",
        "bomb.png": "too_many_pixels",
    }
    with data.open("a") as file:
        for name in expected:
            file.write(json.dumps({"image": f"images/{name}", "id": name}) + "\n")
    return expected


def _png_of(width: int, height: int) -> bytes:
    """The head of a PNG that claims to be this large."""
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def test_a_second_delivery_of_an_item_changes_nothing(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "compliant")
    data = write_images(tmp_path / "data", 10)
    with Client(settings) as client:
        run = client.submit(data)
        redis = connect(settings.broker_url or "")
        for entry in redis.lrange(QUEUE, 0, -1):
            redis.lpush(QUEUE, entry)
        assert redis.llen(QUEUE) == 20
        with WorkerProcess(settings, tmp_path):
            run.wait(timeout_seconds=60, display=quiet)
            wait_until(lambda: redis.llen(QUEUE) + redis.hlen(HELD) == 0, describe="the copies are acknowledged")
        redis.close()
        assert counts(run) == {"ok": 10}


def test_what_is_no_item_is_a_dead_letter_and_its_neighbours_go_on(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "compliant").model_copy(update={"max_message_bytes": 10_000})
    app = Celery("peer", broker=celery_url(settings.broker_url or ""), set_as_current=False)
    client = Client(settings)
    (content,) = item_messages([an_item(RunId(1), 0)], a_run(), ledger=client.store.make_ledger())
    too_large: dict[str, Any] = {**json.loads(content), "item": 2**63}
    wrong: list[tuple[Any, ...]] = [(), ({"v": 1},), ("x", "y"), ({"v": 99},), (too_large,)]
    for arguments in wrong:
        app.send_task(TASK_NAME, args=arguments, queue=QUEUE)
    app.send_task("somebody.elses", queue=QUEUE)
    app.send_task(TASK_NAME, args=({"v": 1, "large": "x" * 20_000},), queue=QUEUE)
    app.send_task(TASK_NAME, args=({"v": 1},), queue=QUEUE, serializer="pickle")
    app.close()
    redis = connect(settings.broker_url or "")
    odd = json.loads(EnvelopeBuilder().build("1", content, queue=QUEUE, enqueued_at=0))
    odd["properties"]["delivery_tag"] = 7
    redis.lpush(QUEUE, json.dumps(odd))
    redis.lpush(QUEUE, "no JSON", '{"headers": {}}', b"\xff\x00", "[]", "[" * 9_000)
    with client, WorkerProcess(settings, tmp_path):
        run = client.submit(write_images(tmp_path / "data", 5))
        run.wait(timeout_seconds=60, display=quiet)
        wait_until(lambda: redis.hlen(HELD) == 0, describe="all are settled")
        assert client.store.dead_letters.counts() == {
            "unknown_version": 1,
            "unreadable_message": 10,
            "unknown_task": 1,
            "unknown_run": 1,
            "oversized_message": 1,
        }
    redis.close()


def test_a_worker_answers_only_runs_of_its_own_model(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "compliant")
    data = write_images(tmp_path / "data", 4)
    with Client(settings) as client:
        mine = client.submit(data, run="mine", model="model-a")
        other = client.submit(data, run="other", model="model-b")
        anyone = client.submit(data, run="anyone")
        with WorkerProcess(settings.model_copy(update={"model": "model-a"}), tmp_path):
            mine.wait(timeout_seconds=60, display=quiet)
            anyone.wait(timeout_seconds=60, display=quiet)
        assert other.progress().pending == 4
        with WorkerProcess(settings.model_copy(update={"model": "model-b"}), tmp_path):
            other.wait(timeout_seconds=60, display=quiet)
