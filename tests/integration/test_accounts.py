"""What an account of Redis or a role of PostgreSQL may not do, asked of servers as docker-compose.yml has them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import redis
from psycopg import errors
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError
from redis.retry import Retry

from persqa.broker.keys import COUNTS, HELD, HISTORIES, LEASES, QUEUE, RECONCILED, TRANSPORT_OPTIONS, queue_for
from persqa.broker.leases import Leases
from persqa.errors import BrokerUnavailable
from persqa.runs import Priority
from tests.support.fleet import Fleet
from tests.support.guarded import (
    ROOT,
    Guarded,
    guarded_database,
    make_secrets,
    wheel_postgres,
)

pytestmark = pytest.mark.xdist_group("accounts")

_ACCOUNTS = ("producer", "worker", "monitor")
QUEUES = [queue_for(model, priority) for model in (None, "org/model") for priority in Priority]
#: How a server says no: Valkey, then Redis to a script.
_NO = r"(?i)perm|user executing the script can't"
_OTHERS = ("celery", "persqax", "_kombu.other", "session:1", "unacked", "celery-task-meta-1")


@pytest.mark.parametrize("queue", QUEUES)
def test_the_producer_cannot_consume(fleet: Fleet, queue: str) -> None:
    with closing(fleet.redis("producer")) as client:
        client.lpush(queue, "message")
        try:
            for command in (
                ("RPOP", queue),
                ("LPOP", queue),
                ("BRPOP", queue, "1"),
                ("BLPOP", queue, "1"),
                ("LMPOP", "1", queue, "LEFT"),
                ("LMOVE", queue, "mine", "RIGHT", "LEFT"),
                ("RPOPLPUSH", queue, "mine"),
                ("RENAME", queue, "mine"),
                ("COPY", queue, "mine"),
                ("DEL", queue),
                ("UNLINK", queue),
                ("EXPIRE", queue, "1"),
                ("SET", queue, "mine"),
                ("SORT", queue, "STORE", "mine"),
                ("EVAL", f"return redis.call('RPOP', '{queue}')", "1", queue),
                ("EVAL", f"return redis.call('LMOVE', '{queue}', '{queue}', 'RIGHT', 'LEFT')", "1", queue),
                ("HSET", HELD, "tag", "thief"),
                ("HDEL", HELD, "tag"),
                ("ZADD", LEASES, "1", "tag"),
            ):
                _refused(client, command)
        finally:
            assert client.lrem(queue, 1, "message") == 1
    leases = Leases(fleet.url("producer"), worker="thief:1", seconds=30)
    with closing(leases), pytest.raises(BrokerUnavailable, match=_NO):
        leases.claim([queue], 1)


@pytest.mark.parametrize("account", _ACCOUNTS)
def test_no_account_reaches_beyond_what_is_persqas(fleet: Fleet, account: str) -> None:
    with closing(fleet.redis(account)) as client:
        for key in _OTHERS:
            for command in (
                ("GET", key),
                ("LRANGE", key, "0", "-1"),
                ("LLEN", key),
                ("HGET", key, "x"),
                ("SET", key, "x"),
                ("DEL", key),
                ("EVAL", f"return redis.call('LLEN', '{key}')", "1", key),
                ("EVAL", f"return redis.call('LLEN', '{key}')", "0"),
            ):
                _refused(client, command)
        for command in (
            ("KEYS", "*"),
            ("SCAN", "0"),
            ("RANDOMKEY",),
            ("CONFIG", "GET", "*"),
            ("CONFIG", "SET", "maxmemory", "1"),
            ("ACL", "LIST"),
            ("ACL", "SETUSER", account, "+@all"),
            ("FLUSHALL",),
            ("FLUSHDB",),
            ("BGREWRITEAOF",),
            ("SHUTDOWN", "NOSAVE"),
            ("REPLICAOF", "127.0.0.1", "1"),
            ("MONITOR",),
            ("CLIENT", "LIST"),
            ("CLIENT", "KILL", "TYPE", "normal"),
            ("SCRIPT", "FLUSH"),
            ("FUNCTION", "LIST"),
            ("SWAPDB", "0", "1"),
            ("PUBLISH", "of-others", "x"),
            ("SUBSCRIBE", "of-others"),
            ("PSUBSCRIBE", "*"),
        ):
            _refused(client, command)


def test_the_worker_may_mend_leases(fleet: Fleet) -> None:
    leases = Leases(fleet.url("worker"), worker="w:1", seconds=30)
    with closing(leases), closing(fleet.redis("worker")) as client:
        client.lpush(QUEUE, "message")
        (claimed,) = leases.claim([QUEUE], 1)
        client.delete(LEASES)
        leases.expire()
        assert client.zcard(LEASES) == 1
        client.delete(HELD)
        assert leases.renew([claimed.tag]) == client.hlen(HELD) == 1
        leases.settle([claimed.tag])


def test_the_worker_cannot_read_what_others_are_answered(fleet: Fleet) -> None:
    reply = "7a.reply.celery.pidbox"
    with closing(fleet.redis("worker")) as client:
        for command in (
            ("LRANGE", reply, "0", "-1"),
            ("BRPOP", reply, "1"),
            ("RPOP", reply),
            ("LLEN", reply),
            ("DEL", reply),
            ("EVAL", f"return redis.call('LRANGE', '{reply}', 0, -1)", "1", reply),
        ):
            _refused(client, command)


def test_the_monitor_changes_no_work(fleet: Fleet) -> None:
    with closing(fleet.redis("monitor")) as client:
        for key in [*QUEUES, HELD, LEASES, COUNTS, HISTORIES, f"{RECONCILED}:0"]:
            for command in (
                ("LPUSH", key, "x"),
                ("RPOP", key),
                ("LREM", key, "0", "x"),
                ("LTRIM", key, "1", "0"),
                ("HSET", key, "x", "x"),
                ("HDEL", key, "x"),
                ("ZREM", key, "x"),
                ("SET", key, "x"),
                ("DEL", key),
                ("EVAL", f"return redis.call('DEL', '{key}')", "1", key),
            ):
                _refused(client, command)


@pytest.mark.parametrize("account", ["default", *_ACCOUNTS])
@pytest.mark.parametrize("password", [None, "", "guessed"])
def test_without_its_password_nobody_is_served(fleet: Fleet, account: str, password: str | None) -> None:
    given = {} if password is None else {"username": account, "password": password}
    client = redis.Redis(port=fleet.broker.port, retry=Retry(NoBackoff(), 0), **given)  # pyrefly: ignore[bad-argument-type]
    with closing(client), pytest.raises((redis.AuthenticationError, redis.ResponseError)):
        client.llen(QUEUE)


def test_the_ways_of_celery_are_named_as_the_accounts_know_them() -> None:
    # The accounts name these keys, so a change here has to reach deploy/redis/users.acl.
    text = (ROOT / "deploy" / "redis" / "users.acl").read_text()
    for name in ("unacked_mutex_key", "unacked_index_key"):
        assert f"~{TRANSPORT_OPTIONS[name]}" in text


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO runs (name) VALUES ('x')",
        "UPDATE results SET answer = NULL",
        "DELETE FROM items",
        "TRUNCATE results",
        "CREATE TABLE mine (a int)",
        "DROP VIEW pairs",
        "SELECT nextval(pg_get_serial_sequence('runs', 'id'))",
        "SELECT pg_read_file('/etc/passwd')",
        "COPY results TO PROGRAM 'true'",
        "CREATE TEMPORARY TABLE mine (a int)",
    ],
)
def test_the_reader_reads_only(database: Guarded, tmp_path: Path, statement: str) -> None:
    with closing(Fleet(tmp_path, database, database).sql("reader")) as connection:
        assert connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)
        # What a stranger would type first.
        connection.execute("SET default_transaction_read_only = off")
        assert connection.execute("SELECT count(*) FROM pairs").fetchone()
        with pytest.raises((errors.InsufficientPrivilege, errors.UndefinedFunction)):
            connection.execute(statement.encode())


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (a int)",
        "CREATE SCHEMA mine",
        "DROP TABLE results",
        "ALTER TABLE results ADD COLUMN mine int",
        "TRUNCATE results",
        "CREATE ROLE mine",
        "SET ROLE persqa_owner",
    ],
)
def test_the_writer_changes_rows_and_no_tables(database: Guarded, tmp_path: Path, statement: str) -> None:
    with closing(Fleet(tmp_path, database, database).sql("writer")) as connection:
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(statement.encode())
        connection.execute("DELETE FROM results WHERE item_id = -1")


@pytest.mark.parametrize("role", ["owner", "writer", "reader"])
@pytest.mark.parametrize("other", ["postgres", "template1"])
def test_a_role_enters_no_other_database(database: Guarded, role: str, other: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(
            host="127.0.0.1",
            port=database.port,
            user=f"persqa_{role}",
            password=database.password(f"postgres_{role}"),
            dbname=other,
        )


def test_passwords_are_kept_as_salted_digests(database: Guarded, tmp_path: Path) -> None:
    with closing(Fleet(tmp_path, database, database).sql("superuser")) as connection:
        rows = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname LIKE 'persqa%'").fetchall()
    assert len(rows) == 3
    assert all(row[0].startswith("SCRAM-SHA-256$") for row in rows)


def test_no_role_is_made_without_a_password(tmp_path: Path) -> None:
    secrets = make_secrets(tmp_path / "secrets")
    (secrets / "postgres_writer_password").unlink()
    with pytest.raises(AssertionError, match="no role was made"), guarded_database(wheel_postgres(), secrets):
        pass


def _refused(client: redis.Redis, command: tuple[str, ...]) -> None:
    """A script is told in words of its own that it was refused something."""
    with pytest.raises(redis.ResponseError, match=_NO) as caught:
        client.execute_command(*command)
    assert command[0] == "EVAL" or isinstance(caught.value, NoPermissionError), command
