"""Who only looks at PostgreSQL needs a role that may read, or a standby, and is told at once what is wrong."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest

from persqa.store import Store
from persqa.store.database import Database
from tests.support.builders import a_stored_run, an_outcome
from tests.support.guarded import standby_of, wheel_postgres
from tests.support.looking import typed

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.support.guarded import Guarded

pytestmark = pytest.mark.xdist_group("accounts")

_LOOKS = (
    ("status",),
    ("results", "r"),
    ("results", "r", "--violations"),
    ("audit", "--json"),
    ("migrate", "--check"),
    ("doctor",),
)


@pytest.fixture
def looked(database: Guarded) -> Generator[str]:
    """A database of its own with a run, that the superuser has made, as the superuser names it."""
    server = f"postgresql://postgres:{database.password('postgres_superuser')}@127.0.0.1:{database.port}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute("CREATE DATABASE looked")
        admin.execute("CREATE ROLE looker LOGIN PASSWORD 'looker'")
        try:
            with closing(Store.open(f"{server}/looked")) as store:
                _, batch = a_stored_run(store, 2)
                store.results.commit([an_outcome(batch[0])])
            yield f"{server}/looked"
        finally:
            admin.execute("DROP DATABASE looked WITH (FORCE)")
            admin.execute("DROP ROLE looker")


def _as(role: str, url: str) -> str:
    return f"postgresql://{role}@{url.rpartition('@')[2]}"


def test_a_role_that_may_read_sees_all(looked: str) -> None:
    looker = _as("looker:looker", looked)
    hidden = typed("status", "--database-url", looker)
    assert "may not" not in hidden.out
    assert "permission denied for table" in hidden.error
    assert "its owner can grant this role that right" in hidden.error
    assert (hidden.code, hidden.at_once) == (2, True), hidden
    with psycopg.connect(looked, autocommit=True) as admin:
        admin.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO looker")
    for look in _LOOKS:
        answer = typed(*look, "--database-url", looker)
        assert (answer.code, answer.error) == (0, ""), answer
    refused = typed("pause", "r", "--database-url", looker)
    assert "permission denied for table runs" in refused.error
    assert refused.code == 2
    with psycopg.connect(looked, autocommit=True) as admin:
        admin.execute("GRANT UPDATE ON ALL TABLES IN SCHEMA public TO looker")
        admin.execute("ALTER ROLE looker SET default_transaction_read_only = on")
    refused = typed("pause", "r", "--database-url", looker)
    assert "this role may only read" in refused.error
    assert refused.code == 2
    with psycopg.connect(looked, autocommit=True) as admin:
        admin.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    blind = typed("status", "--database-url", looker)
    assert "has no tables of PersQA yet, or none that this role may see" in blind.error
    assert blind.code == 2


def test_a_look_is_a_transaction_that_only_reads(looked: str) -> None:
    with closing(Database(looked, looking=True)) as looker, looker.reading() as connection:
        assert connection.exec_driver_sql("SHOW transaction_read_only").scalar_one() == "on"


def test_a_standby_can_be_looked_at(looked: str, database: Guarded) -> None:
    with standby_of(database, wheel_postgres()) as standby:
        named = ("--database-url", looked.replace(f":{database.port}/", f":{standby.port}/"))
        for look in _LOOKS:
            answer = typed(*look, *named)
            assert (answer.code, answer.error) == (0, ""), answer
        assert json.loads(typed("audit", "--json", *named).out)[0]["ok"] == 1
        refused = typed("pause", "r", *named)
        assert "it is a standby" in refused.error
        assert refused.code == 3


@pytest.mark.parametrize(
    ("role", "name", "words"),
    [
        (
            "looker:geheim",
            "looked",
            'password authentication failed for user "looker"; check the user and the password',
        ),
        ("looker", "looked", "no password supplied; give the password, too"),
        ("nobody:geheim", "looked", 'password authentication failed for user "nobody"'),
        ("looker:looker", "nowhere", 'database "nowhere" does not exist; check the database URL, or have it created'),
        ("looker:looker", "empty", "has no tables of PersQA yet"),
    ],
)
def test_who_is_not_let_in_is_told_why(looked: str, role: str, name: str, words: str) -> None:
    with psycopg.connect(looked, autocommit=True) as admin:
        admin.execute("CREATE DATABASE empty")
        try:
            url = _as(role, looked).replace("/looked", f"/{name}")
            for look in _LOOKS[:4]:
                answer = typed(*look, "--database-url", url)
                assert words in answer.error, answer
                assert (answer.code, answer.at_once, "geheim" in answer.error) == (2, True, False), answer
        finally:
            admin.execute("DROP DATABASE empty")


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("127.0.0.1:1", "Connection refused; check host and port"),
        ("nowhere.invalid", "resolve host 'nowhere.invalid'"),
        ("/x?host=/nowhere", "No such file or directory; check the host"),
    ],
)
def test_a_server_that_is_away_is_told_at_once(place: str, words: str) -> None:
    url = f"postgresql://me:geheim@{place}" + ("" if "/" in place else "/x")
    for look in _LOOKS[:4]:
        answer = typed(*look, "--database-url", url)
        assert words in answer.error, answer
        assert (answer.code, answer.at_once, "geheim" in answer.error) == (3, True, False), answer


def test_a_server_that_is_silent_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persqa.store.database._LOOK_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://me@127.0.0.1:{silent.getsockname()[1]}/x"
        answer = typed("status", "--database-url", url)
    assert "timeout expired; check the host" in answer.error, answer
    assert (answer.code, answer.at_once) == (3, True), answer
