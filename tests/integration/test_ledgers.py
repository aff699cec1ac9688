"""A broker with messages of several ledgers, and ledgers that were deleted, restored or moved to another broker."""

from __future__ import annotations

import shutil
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, cast

import pytest

from persqa.broker.connection import connect
from persqa.broker.keys import QUEUE
from persqa.store import Store
from producer import Client
from tests.support.builders import write_images
from tests.support.oracle import check_audits, check_empty, check_rows
from tests.support.queues import held, waiting
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from pathlib import Path

    from persqa.settings import Settings
    from producer import RunHandle
    from tests.conftest import Site

ITEMS = 20


def beside(settings: Settings, folder: Path, name: str) -> Settings:
    """Another project on the same broker."""
    return settings.model_copy(update={"database_url": f"sqlite:///{folder}/{name}.db"})


def other_pictures(folder: Path) -> Path:
    """As many records as those of `write_images(folder, ITEMS)`, and none of their pictures."""
    records = write_images(folder, 2 * ITEMS)
    records.write_text("".join(records.read_text().splitlines(keepends=True)[ITEMS:]))
    return records


def statuses(run: RunHandle) -> Counter[str]:
    return Counter(row.status for row in run.results())


def finish(run: RunHandle) -> None:
    run.wait(timeout_seconds=60, display=lambda _progress: None)


def test_two_projects_on_one_broker_get_their_own_answers(site: Site, tmp_path: Path) -> None:
    """Their items have the same ids, and each worker finds those of both."""
    ours = scripted(site.settings, "reads_colour")
    theirs = beside(ours, tmp_path, "theirs")
    with Client(ours) as one, Client(theirs) as other:
        # The same ids, other pictures.
        mine = one.submit(write_images(tmp_path / "mine", ITEMS))
        yours = other.submit(other_pictures(tmp_path / "other"))
        with WorkerProcess(ours, tmp_path) as worker:
            finish(mine)
            wait_until(lambda: waiting(ours) + held(ours) == 0, describe="all are answered or set aside")
            assert statuses(yours) == {"pending": ITEMS}
            assert yours.audit().holds, "set aside is not lost"
            assert worker.text().count("messages of another database") == 1
        with WorkerProcess(theirs, tmp_path):
            finish(yours)
        check_rows(mine, ITEMS)
        assert [row.answer for row in yours.results()] == [f"<mam> is {index}-0-7" for index in range(ITEMS, 2 * ITEMS)]
        assert one.store.dead_letters.counts() == other.store.dead_letters.counts() == {}
        for settings in (ours, theirs):
            check_audits(settings)
            check_empty(settings)


def test_what_is_set_aside_can_be_paused_and_resumed(site: Site, tmp_path: Path) -> None:
    ours = scripted(site.settings, "reads_colour")
    theirs = beside(ours, tmp_path, "theirs")
    with Client(theirs) as client:
        run = client.submit(write_images(tmp_path / "data", ITEMS))
        with WorkerProcess(ours, tmp_path):
            wait_until(lambda: waiting(ours) + held(ours) == 0, describe="all are set aside")
        assert run.pause() == ITEMS
        assert run.resume() == ITEMS
        assert waiting(ours) == ITEMS
        with WorkerProcess(theirs, tmp_path):
            finish(run)
        check_rows(run, ITEMS)


@pytest.mark.parametrize("site", ["valkey+sqlite"], indirect=True)
def test_a_deleted_database_leaves_no_answers_to_the_next_one(site: Site, tmp_path: Path) -> None:
    settings = beside(scripted(site.settings, "reads_colour"), tmp_path, "project")
    old = other_pictures(tmp_path / "old")
    with Client(settings) as client:
        client.submit(old)
    for file in tmp_path.glob("project.db*"):
        file.unlink()
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", ITEMS))
        with WorkerProcess(settings, tmp_path):
            finish(run)
            wait_until(lambda: waiting(settings) + held(settings) == 0, describe="all are answered or set aside")
        check_rows(run, ITEMS)
        assert client.store.dead_letters.counts() == {}
    # What belongs to nobody any longer stays until somebody deletes it.
    with closing(connect(settings.broker_url or "")) as redis:
        (key,) = cast("list[bytes]", redis.keys("persqa:ledger:*"))
        assert redis.llen(key.decode()) == ITEMS
        redis.delete(key)


@pytest.mark.parametrize("site", ["valkey+sqlite"], indirect=True)
def test_a_restored_database_gets_no_answers_to_what_it_does_not_know(site: Site, tmp_path: Path) -> None:
    settings = beside(scripted(site.settings, "reads_colour"), tmp_path, "project")
    old = other_pictures(tmp_path / "old")
    Store.open(settings.database_url).close()
    shutil.copy(tmp_path / "project.db", tmp_path / "backup.db")
    with Client(settings) as client:
        client.submit(old, run="old")
    for file in tmp_path.glob("project.db*"):
        file.unlink()
    shutil.copy(tmp_path / "backup.db", tmp_path / "project.db")
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", ITEMS))
        with closing(connect(settings.broker_url or "")) as redis:
            entries = cast("list[bytes]", redis.lrange(QUEUE, 0, -1))
        assert len(entries) == 2 * ITEMS
        with WorkerProcess(settings, tmp_path):
            finish(run)
            wait_until(lambda: waiting(settings) + held(settings) == 0, describe="all are settled")
        check_rows(run, ITEMS)
        assert client.store.dead_letters.counts() == {"unknown_run": ITEMS}
        check_audits(settings)
        check_empty(settings)


@pytest.mark.parametrize("site", ["redis+postgresql"], indirect=True)
def test_a_broker_of_its_own_touches_no_run_of_the_fleet(site: Site, tmp_path: Path) -> None:
    """Somebody has the fleet's database and no broker: what is started there answers only its own run."""
    settings = scripted(site.settings, "slow").model_copy(update={"reconcile_seconds": 0.2, "window": 4})
    with Client(settings) as fleet, Client(settings.model_copy(update={"broker_url": None})) as laptop:
        run = fleet.submit(write_images(tmp_path / "fleet", ITEMS), run="fleet")
        own = laptop.submit(write_images(tmp_path / "own", ITEMS), run="own")
        finish(own)
        assert statuses(run) == {"pending": ITEMS}
        assert waiting(settings) == ITEMS
        assert run.audit().holds
