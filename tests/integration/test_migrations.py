"""Opening a database: the tables are made, brought up to date or refused."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from persqa.audit import audit
from persqa.errors import SettingsError, StoreUnavailable
from persqa.pairs import Choice
from persqa.store import Store
from persqa.store.database import Database
from persqa.store.migrate import _config, inspect, migrate
from persqa.store.schema import metadata
from tests.support.builders import a_stored_run, an_outcome
from tests.support.schemas import NEXT, next_version
from tests.support.servers import fresh_database
from tests.support.sql import change, select


@pytest.mark.usefixtures("store")
def test_the_migrations_make_exactly_the_tables_of_the_schema(database_url: str) -> None:
    database = Database(database_url)
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    database.close()


def test_many_may_open_a_new_database_at_once(database_url: str) -> None:
    start = threading.Barrier(6)

    def open_and_close() -> None:
        start.wait()
        Store.open(database_url).close()

    with ThreadPoolExecutor(6, thread_name_prefix="test") as threads:
        for future in [threads.submit(open_and_close) for _ in range(6)]:
            future.result()


@pytest.mark.usefixtures("store")
def test_a_newer_schema_is_refused(database_url: str) -> None:
    change(database_url, "UPDATE alembic_version SET version_num = '9998'")
    with pytest.raises(SettingsError, match="schema 9998, newer than this PersQA: upgrade PersQA first"):
        Store.open(database_url)
    with closing(Database(database_url)) as database, pytest.raises(SettingsError, match="schema 9998, newer"):
        inspect(database)


def test_an_older_schema_is_brought_up_to_date_and_its_runs_are_as_they_were(database_url: str, tmp_path: Path) -> None:
    with closing(Store.open(database_url)) as store:
        run, batch = a_stored_run(store, 2)
        store.results.commit([an_outcome(batch[0])])
    with next_version(tmp_path), closing(Database(database_url)) as old:
        assert inspect(old).missing == (NEXT,)
        assert migrate(old).found == "0005"
        assert inspect(old).missing == migrate(old).missing == ()
        with closing(Store.open(database_url)) as store:
            assert store.runs.find("r") == run
            assert audit(store, run, None).holds
    assert select(database_url, "SELECT colour FROM runs") == [("red",)]
    with pytest.raises(SettingsError, match="schema 0006, newer than this PersQA"):
        Store.open(database_url)


def test_runs_of_the_first_schema_can_be_requeued_and_deleted(database_url: str) -> None:
    with closing(Store.open(database_url)) as store:
        run, batch = a_stored_run(store, 2)
        store.results.commit([an_outcome(item) for item in batch])
    with closing(Database(database_url)) as database:
        with database.writing() as connection:
            config = _config()
            config.attributes["connection"] = connection
            command.downgrade(config, "0001")
        assert inspect(database).found == "0001"
    with closing(Store.open(database_url)) as store:
        assert store.runs.find("r") == run
        assert store.runs.inputs() == {}
        assert store.ledger.reopen(run.id, Choice(items=(batch[0].id,))).taken_back == 1
        assert len(store.results.earlier(batch[0].id)) == 1
        store.deletion.begin(run)
        assert [step.items for step in store.deletion.steps(run.id)] == [2]
        assert store.runs.all() == []


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://x/y", "sqlite://", "sqlite:///:memory:"])
def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="the database URL: use sqlite"):
        Database(url)


def test_an_unreachable_database_is_an_outage_and_the_password_is_not_shown() -> None:
    with pytest.raises(StoreUnavailable) as caught:
        Store.open("postgresql://me:secret@127.0.0.1:1/none")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_host_that_vanishes_in_a_transaction_does_not_keep_its_locks(database_url: str) -> None:
    database = Database(database_url)
    show = sa.text("SHOW idle_in_transaction_session_timeout")
    with database.writing() as connection:
        assert connection.execute(show).scalar_one() == "30s"
    with database.reading() as connection:
        assert connection.execute(show).scalar_one() == "0", "who exports may read for long"
    database.close()


def test_a_migration_lets_nobody_wait_behind_it_for_long(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys.modules["persqa.store.migrate"], "_LOCK_SECONDS", 0.2)
    monkeypatch.setattr(sys.modules["persqa.store.migrate"], "_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(sys.modules["persqa.store.migrate"], "_TRIES", 2)
    with fresh_database(request.getfixturevalue("_postgres")) as url, closing(Database(url)) as database:
        migrate(database)
        with next_version(tmp_path):
            # As pg_dump has it, for as long as it takes.
            with database.reading() as backup:
                backup.exec_driver_sql("LOCK TABLE runs IN ACCESS SHARE MODE")
                with pytest.raises(StoreUnavailable, match="in use, as by a backup"):
                    migrate(database)
            assert migrate(database).missing
