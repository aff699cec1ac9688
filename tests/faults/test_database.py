"""The database goes away, is locked, drops connections, loses its reply, and refuses a row."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from persqa.broker.connection import connect
from persqa.broker.keys import HELD, QUEUE
from persqa.errors import StoreUnavailable
from persqa.results import Status
from persqa.settings import load_settings
from persqa.store import Store
from producer import Client
from tests.conftest import Site, Size
from tests.faults.tools import finish, quick, rigged, wait_progress
from tests.support.builders import write_images
from tests.support.oracle import check_audits, check_empty, check_rows
from tests.support.servers import broker_process, postgres_process, redis_binary
from tests.support.wait import spend, wait_until
from tests.support.workers import WorkerProcess


def test_while_postgresql_is_down_nothing_is_acknowledged_and_nothing_lost(
    tmp_path: Path, size: Size, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = size(400, 2000)
    monkeypatch.setenv("SCRIPT_SECONDS", "0.1")
    with broker_process(redis_binary()) as broker, postgres_process() as database:
        url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        settings = load_settings(broker_url=broker.url, database_url=url, commit_seconds=0.05)
        site = Site(settings, broker)
        settings = quick(site, "takes_about", window=16)
        with WorkerProcess(settings, tmp_path) as worker:
            with Client(settings) as client:
                run = client.submit(write_images(tmp_path / "data", items))
                wait_progress(run)
                database.stop()
                in_redis = _in_redis(settings.broker_url)
                # The subject is that nothing happens for so long.
                spend(size(5, 60))
                # What was committed right before may still be acknowledged.
                assert in_redis - _in_redis(settings.broker_url) <= 64
                assert worker.process.poll() is None
                database.start()
                back = time.monotonic()
                wait_progress(run, seconds=35)
                print(f"committed again {time.monotonic() - back:.1f} s after the database was back")
                finish(run)
                check_rows(run, items)
            check_empty(settings)
        check_audits(settings)


def _in_redis(url: str | None) -> int:
    with closing(connect(url or "")) as redis:
        return redis.llen(QUEUE) + redis.hlen(HELD)


@pytest.mark.parametrize("site", ["valkey+sqlite"], indirect=True)
def test_into_a_file_that_was_moved_away_nothing_is_written_until_it_is_back(site: Site, tmp_path: Path) -> None:
    settings = quick(site, "reads_colour", window=16)
    file, elsewhere = tmp_path / "persqa.db", tmp_path / "moved"
    elsewhere.mkdir()

    def move(source: Path, target: Path) -> None:
        for part in source.glob("persqa.db*"):
            part.rename(target / part.name)

    with Client(settings) as client, WorkerProcess(settings, tmp_path) as worker:
        run = client.submit(write_images(tmp_path / "data", 500))
        wait_progress(run)
        move(tmp_path, elsewhere)
        wait_until(lambda: "was deleted, moved or replaced" in worker.text(), describe="the worker says so")
        with pytest.raises(StoreUnavailable, match=r"persqa.db was deleted, moved or replaced .* put it back"):
            run.progress()
        # Nobody makes an empty one in its place; and one that somebody else makes is not written.
        assert not file.exists()
        Store.open(settings.database_url).close()
        spend(1)
        with closing(Store.open(settings.database_url)) as other:
            assert not other.runs.all()
        with pytest.raises(StoreUnavailable):
            run.progress()
        for part in tmp_path.glob("persqa.db*"):
            part.unlink()
        move(elsewhere, tmp_path)
        finish(run)
        assert worker.process.poll() is None
        check_rows(run, 500)


@pytest.mark.parametrize("site", ["valkey+sqlite"], indirect=True)
def test_a_locked_sqlite_is_waited_for(site: Site, tmp_path: Path, size: Size, monkeypatch: pytest.MonkeyPatch) -> None:
    items = size(300, 1500)
    monkeypatch.setenv("SCRIPT_SECONDS", "0.1")
    # Items may take less time than the lock lasts: that is not theirs.
    settings = quick(site, "takes_about", window=16, item_seconds=3, hang_seconds=2)
    with Client(settings) as client, WorkerProcess(settings, tmp_path) as worker:
        run = client.submit(write_images(tmp_path / "data", items))
        wait_progress(run)
        locker = sa.create_engine(settings.database_url, isolation_level="AUTOCOMMIT")
        with locker.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            spend(size(5, 60))
            connection.exec_driver_sql("ROLLBACK")
        locker.dispose()
        wait_progress(run, seconds=35)
        finish(run)
        assert worker.process.poll() is None
        check_rows(run, items)
        check_empty(settings)


@pytest.mark.parametrize("site", ["redis+postgresql"], indirect=True)
def test_cut_database_connections_lose_and_double_nothing(
    site: Site, tmp_path: Path, size: Size, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = size(500, 8000)
    monkeypatch.setenv("SCRIPT_SECONDS", "0.1")
    settings = quick(site, "takes_about", window=32)
    admin = sa.create_engine(settings.database_url.replace("postgresql:", "postgresql+psycopg:"))
    cut = sa.text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with Client(settings) as client, WorkerProcess(settings, tmp_path) as worker:
        # One that is still being started ends of it.
        worker.wait_ready()
        run = client.submit(write_images(tmp_path / "data", items))
        for _ in range(size(5, 50)):
            spend(0.3)
            with admin.connect() as connection:
                connection.execute(cut)
        finish(run)
        assert worker.process.poll() is None
        check_rows(run, items)
        check_empty(settings)
    admin.dispose()


@pytest.mark.parametrize("site", ["redis+postgresql"], indirect=True)
def test_a_database_that_has_become_a_standby_is_waited_for(site: Site, tmp_path: Path) -> None:
    settings = quick(site, "reads_colour", window=16)
    admin = sa.create_engine(
        settings.database_url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT"
    )
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 100))
        with admin.connect() as connection:
            name = connection.execute(sa.text("SELECT current_database()")).scalar_one()
            connection.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        with WorkerProcess(settings, tmp_path) as worker:
            wait_until(lambda: "read-only transaction" in worker.text(), describe="it meets the standby")
            assert run.progress().pending == 100
            with admin.connect() as connection:
                connection.exec_driver_sql("SET default_transaction_read_only = off")
                connection.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
            finish(run)
            check_empty(settings)
        check_rows(run, 100)
    admin.dispose()


def test_a_lost_reply_to_a_commit_doubles_nothing(site: Site, tmp_path: Path) -> None:
    settings = quick(site, "never_the_tag", window=16)
    with Client(settings) as client, rigged(settings, tmp_path, "loses_reply:2") as worker:
        run = client.submit(write_images(tmp_path / "data", 100))
        finish(run)
        assert "the reply to the commit was lost" in worker.text()
        assert run.progress().ended[Status.OK] == 100
        # Violations have no key of their own to be refused by, so they would show it.
        assert run.violation_kinds() == {"missing_tag": 200}
        check_empty(settings)


def test_one_row_that_cannot_be_stored_ends_as_dead_and_its_neighbours_are_stored(site: Site, tmp_path: Path) -> None:
    # A batch has all of them: the first commit waits for the last answer.
    settings = quick(site, "compliant_by_number", window=64, commit_items=64, commit_seconds=5.0)
    with Client(settings) as client:
        run = client.submit(write_images(tmp_path / "data", 64))
        _refuse_answers_with(settings.database_url, "number 40.")
        with WorkerProcess(settings, tmp_path):
            finish(run)
            check_empty(settings)
        assert run.progress().ended == {Status.OK: 63, Status.NONCOMPLIANT: 0, Status.INVALID: 0, Status.DEAD: 1}
        (dead,) = run.results(status="dead")
        assert (dead.position, dead.reason) == (40, "unstorable")
        assert "no such answer" in (dead.detail or "")


def _refuse_answers_with(url: str, words: str) -> None:
    """Let the database itself refuse a row, as a constraint of somebody's own would."""
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql(
                f"CREATE TRIGGER refuse BEFORE INSERT ON results WHEN instr(NEW.answer, '{words}') "
                "BEGIN SELECT RAISE(ABORT, 'no such answer'); END"
            )
        else:
            connection.exec_driver_sql(
                f"ALTER TABLE results ADD CONSTRAINT \"no such answer\" CHECK (position('{words}' in answer) = 0)"
            )
    engine.dispose()
