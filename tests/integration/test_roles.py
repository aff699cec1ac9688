"""PostgreSQL with an owner of the tables, a writer that may change only rows, and a reader that may change nothing."""

from __future__ import annotations

import json
import uuid
from contextlib import closing
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from persqa.errors import SettingsError
from persqa.pairs import Choice
from persqa.results import Status
from persqa.reviews import GivenReview, Wanted
from persqa.settings import load_settings
from persqa.store import Store
from producer import Client
from producer.cli import app
from tests.integration.test_worker import counts, quiet
from tests.support.builders import a_stored_run, an_outcome, write_images
from tests.support.schemas import next_version
from tests.support.servers import fresh_database, valkey_server
from tests.support.sql import select
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from collections.abc import Generator


@dataclass(frozen=True)
class Roles:
    """The database as each of them names it."""

    owner: str
    writer: str
    reader: str
    _: KW_ONLY
    admin: sa.Engine


@pytest.fixture
def roles(_postgres: sa.URL) -> Generator[Roles]:
    """A database that is set up as deployments do: what the owner makes later is the others' to use."""
    mark = uuid.uuid4().hex[:8]
    owner, writer, reader = (f"{name}_{mark}" for name in ("owner", "writer", "reader"))
    with fresh_database(_postgres) as url:
        admin = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            for statement in (
                *(f"CREATE ROLE {role} LOGIN" for role in (owner, writer, reader)),
                "REVOKE ALL ON SCHEMA public FROM PUBLIC",
                f"GRANT USAGE, CREATE ON SCHEMA public TO {owner}",
                f"GRANT USAGE ON SCHEMA public TO {writer}, {reader}",
                f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {writer}",
                f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT USAGE ON SEQUENCES TO {writer}",
                f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT SELECT ON TABLES TO {reader}",
                f"ALTER ROLE {reader} SET default_transaction_read_only = on",
            ):
                connection.exec_driver_sql(statement)
        try:
            parsed = sa.make_url(url)
            named = (parsed.set(username=role).render_as_string(False) for role in (owner, writer, reader))
            yield Roles(*named, admin=admin)
        finally:
            with admin.connect() as connection:
                for role in (owner, writer, reader):
                    connection.exec_driver_sql(f"DROP OWNED BY {role}")
                    connection.exec_driver_sql(f"DROP ROLE {role}")
            admin.dispose()


def persqa(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout


def test_only_the_owner_changes_tables_and_the_others_say_so(roles: Roles, tmp_path: Path) -> None:
    for url, found in ((roles.writer, "no schema of PersQA"), (roles.reader, "no schema of PersQA")):
        with pytest.raises(SettingsError, match=f"{found}, .*run `persqa migrate` as the owner"):
            Store.open(url)
    assert persqa("migrate", "--check", "--database-url", roles.owner)[0] == 1
    Store.open(roles.owner).close()
    with next_version(tmp_path):
        for url in (roles.writer, roles.reader):
            with pytest.raises(SettingsError, match=r"schema 0005, .*run `persqa migrate` as the owner"):
                Store.open(url)
        code, out = persqa("migrate", "--database-url", roles.owner)
        assert (code, json.loads(out)["found"], len(json.loads(out)["applied"])) == (0, "0005", 1)
        code, out = persqa("migrate", "--database-url", roles.writer)
        assert (code, json.loads(out)["applied"]) == (0, [])
        assert persqa("migrate", "--check", "--database-url", roles.reader)[0] == 0


def test_all_work_needs_the_writer_only_and_all_looking_the_reader_only(roles: Roles, tmp_path: Path) -> None:
    Store.open(roles.owner).close()
    with valkey_server() as broker:
        settings = load_settings(broker_url=broker, database_url=roles.writer, commit_seconds=0.05, reconcile_seconds=1)
        settings = scripted(settings, "never_the_tag")
        data = write_images(tmp_path / "data", 20)
        (tmp_path / "data" / "images" / "3.png").write_bytes(b"no image")
        with Client(settings) as client:
            run = client.submit(data, tag_policy="check", priority="low")
            run.pause()
            run.set_priority("high")
            run.resume()
            with WorkerProcess(settings, tmp_path):
                run.wait(timeout_seconds=60, display=quiet)
                assert run.requeue(Status.NONCOMPLIANT).taken_back == 19
                run.wait(timeout_seconds=60, display=quiet)
            assert counts(run) == {"noncompliant": 19, "invalid": 1}
            run.requeue(Status.NONCOMPLIANT)
        see = ("--database-url", roles.reader)
        code, out = persqa("status", *see, "--broker-url", broker)
        assert (code, json.loads(out)["runs"][0]["pending"]) == (0, 19)
        code, out = persqa("audit", *see, "--broker-url", broker)
        assert (code, json.loads(out)[0]["queue_checked"]) == (0, True)
        code, out = persqa("results", "records", *see)
        assert (code, len(out.splitlines())) == (0, 20)
        code, out = persqa("results", "records", "--violations", *see)
        assert (code, len(out.splitlines())) == (0, 38)
        code, out = persqa("export", "records", str(tmp_path / "out.jsonl"), *see)
        assert (code, len((tmp_path / "out.jsonl").read_text().splitlines())) == (0, 20)


def test_who_may_write_rows_may_review_and_who_may_only_read_sees_it(roles: Roles) -> None:
    Store.open(roles.owner).close()
    with closing(Store.open(roles.writer)) as store:
        run, (item,) = a_stored_run(store, 1)
        store.results.commit([an_outcome(item)])
        for action in ("one", "two"):
            given = GivenReview(note=action)
            assert store.reviews.change(run.id, [item.id], given, reviewer="ann", action=action) == [item.id]
        assert store.reviews.undo(run.id, "two") == [item.id]
        assert store.reviews.may_write()
    with closing(Store.look(roles.reader)) as store:
        assert not store.reviews.may_write()
        assert [row.note for row in store.queries.pairs(run, review=Wanted.NONE)] == ["one"]
        assert [review.note for review in store.reviews.history(item.id)] == ["two"]
        with pytest.raises(SettingsError, match="this role may only read"):
            store.reviews.change(run.id, [item.id], {"starred": True}, reviewer="bob", action="three")
    assert select(roles.reader, "SELECT note, reviewer FROM pairs") == [("one", "ann")]


def test_the_grants_of_the_docs_let_a_gallery_review_and_nothing_else(roles: Roles) -> None:
    docs = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text()
    section = docs.partition("## A gallery for a team")[2].partition("\n## ")[0]
    create, look, *review = [
        line.strip() for line in section.splitlines() if line.startswith(("    CREATE", "    GRANT"))
    ]
    Store.open(roles.owner).close()
    with closing(Store.open(roles.writer)) as store:
        run, (item,) = a_stored_run(store, 1)
        store.results.commit([an_outcome(item)])
    guest, url = f"gallery_{uuid.uuid4().hex[:8]}", sa.make_url(roles.owner)
    with (
        roles.admin.connect() as connection,
        closing(Store.look(url.set(username=guest).render_as_string(False))) as store,
    ):
        try:
            for statement in (create, look, "GRANT USAGE ON SCHEMA public TO gallery"):
                connection.exec_driver_sql(statement.replace("gallery", guest))
            assert store.queries.progress(run.id).submitted == 1
            for statement in review:
                assert not store.reviews.may_write()
                connection.exec_driver_sql(statement.replace("gallery", guest))
            assert store.reviews.may_write()
            assert store.reviews.change(run.id, [item.id], {"starred": True}, reviewer="ann", action="one") == [item.id]
            assert store.reviews.undo(run.id, "one") == [item.id]
            with pytest.raises(SettingsError, match="permission denied"):
                store.ledger.reopen(run.id, Choice(items=(item.id,)))
        finally:
            connection.exec_driver_sql(f"DROP OWNED BY {guest}")
            connection.exec_driver_sql(f"DROP ROLE {guest}")
