"""The engine dies, hangs, and is killed by an item; with a scripted engine. The real one is in tests/end_to_end."""

from __future__ import annotations

from pathlib import Path

import pytest

from persqa.results import Status
from producer import Client
from tests.conftest import Site
from tests.faults.tools import finish, notes, quick, rigged
from tests.support.builders import write_images
from tests.support.oracle import check_empty, check_rows
from tests.support.workers import WorkerProcess


def test_one_item_that_kills_the_engine_ends_alone(site: Site, tmp_path: Path) -> None:
    settings = quick(site, "poison")
    with Client(settings) as client, WorkerProcess(settings, tmp_path) as worker:
        run = client.submit(write_images(tmp_path / "data", 257))
        finish(run)
        assert worker.process.poll() is None
        assert run.progress().ended == {Status.OK: 256, Status.NONCOMPLIANT: 0, Status.INVALID: 0, Status.DEAD: 1}
        (dead,) = run.results(status="dead")
        assert (dead.position, dead.reason) == (3, "kills_engine")
        assert "died of this, as scripted (alone)" in (dead.detail or "")
        check_empty(settings)


def test_who_asked_an_engine_that_died_and_was_not_told_asks_the_next_one(
    site: Site, tmp_path: Path, begun: Path
) -> None:
    settings = quick(site, "dies_beside_others", window=8)
    with Client(settings) as client, rigged(settings, tmp_path, "forgetful") as worker:
        run = client.submit(write_images(tmp_path / "data", 50))
        finish(run, seconds=40)
        assert len(notes(begun)) == 50
        assert worker.process.poll() is None
        check_rows(run, 50)
        check_empty(settings)


@pytest.mark.parametrize("rigs", [(), ("forgetful",)])
def test_an_engine_that_hangs_is_replaced(site: Site, tmp_path: Path, begun: Path, rigs: tuple[str, ...]) -> None:
    settings = quick(site, "hangs_once", hang_seconds=2)
    with Client(settings) as client, rigged(settings, tmp_path, *rigs) as worker:
        run = client.submit(write_images(tmp_path / "data", 50))
        finish(run)
        assert begun.exists()
        assert "the engine hangs" in worker.text()
        check_rows(run, 50)
        check_empty(settings)


def test_an_engine_that_takes_for_ever_to_load_is_broken_off_and_loaded_again(
    site: Site, tmp_path: Path, begun: Path
) -> None:
    settings = quick(site, "dies_once", load_seconds=2)
    with Client(settings) as client, rigged(settings, tmp_path, "stuck_load:2") as worker:
        run = client.submit(write_images(tmp_path / "data", 50))
        finish(run)
        assert begun.exists()
        assert "the engine cannot be started" in worker.text()
        assert "engine ready again" in worker.text()
        check_rows(run, 50)
        check_empty(settings)


def test_an_answer_that_takes_longer_than_a_hang_is_waited_for(
    site: Site, tmp_path: Path, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPT_SECONDS", "4")
    settings = quick(site, "takes_long", hang_seconds=1)
    with Client(settings) as client, WorkerProcess(settings, tmp_path) as worker:
        run = client.submit(write_images(tmp_path / "data", 3))
        finish(run)
        assert set(notes(begun).values()) == {1}
        assert "hangs" not in worker.text()
        check_rows(run, 3)


def test_an_engine_that_only_dies_ends_the_worker_and_gives_everything_back(site: Site, tmp_path: Path) -> None:
    settings = quick(site, "dies", lease_seconds=60)
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 20))
        with WorkerProcess(settings, tmp_path) as worker:
            assert worker.wait(60) == 3
            assert "without an answer in between" in worker.text()
        depth = run.depth()
        assert depth is not None
        assert (depth.waiting, depth.held) == (20, 0)
        with WorkerProcess(quick(site, "reads_colour"), tmp_path):
            finish(run)
        check_rows(run, 20)
