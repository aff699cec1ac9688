"""Who may do what, asked of the servers that docker-compose.yml starts, over the network."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest
import redis
from psycopg import errors
from redis.backoff import NoBackoff
from redis.retry import Retry

from persqa.broker.connection import connect
from persqa.broker.keys import HELD, QUEUE
from persqa.broker.leases import Leases
from persqa.errors import BrokerUnavailable
from tests.topology.conftest import Deployment

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.xdist_group("topology")

_ACCOUNTS = ("producer", "worker", "monitor")
_ROLES = ("owner", "writer", "reader")


@pytest.mark.parametrize("account", ["default", *_ACCOUNTS])
@pytest.mark.parametrize("password", ["", "guessed"])
def test_without_its_password_redis_serves_nobody(deployment: Deployment, account: str, password: str) -> None:
    address = deployment.services.host("redis").address
    client = redis.Redis(host=address, username=account, password=password or None, retry=Retry(NoBackoff(), 0))
    with closing(client), pytest.raises((redis.AuthenticationError, redis.ResponseError)):
        client.llen(QUEUE)


@pytest.mark.parametrize("role", ["postgres", *(f"persqa_{role}" for role in _ROLES)])
@pytest.mark.parametrize("password", ["", "guessed"])
def test_without_its_password_postgresql_serves_nobody(deployment: Deployment, role: str, password: str) -> None:
    address = deployment.services.host("postgres").address
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host=address, user=role, password=password or None, dbname="persqa", passfile="/dev/null")


def test_the_producers_account_cannot_consume(deployment: Deployment) -> None:
    url = _broker_url(deployment, "producer")
    with closing(Leases(url, worker="thief:1", seconds=30)) as leases, pytest.raises(BrokerUnavailable, match="perm"):
        leases.claim([QUEUE], 1)
    for command in (
        ("RPOP", QUEUE),
        ("LPOP", QUEUE),
        ("BRPOP", QUEUE, "1"),
        ("LMOVE", QUEUE, "mine", "RIGHT", "LEFT"),
        ("RPOPLPUSH", QUEUE, "mine"),
        ("DEL", QUEUE),
        ("RENAME", QUEUE, "mine"),
        ("HDEL", HELD, "tag"),
        ("EVAL", f"return redis.call('RPOP', '{QUEUE}')", "1", QUEUE),
    ):
        _refused(url, command)


@pytest.mark.parametrize("account", _ACCOUNTS)
def test_no_account_of_redis_reads_what_is_not_its_own(deployment: Deployment, account: str) -> None:
    url = _broker_url(deployment, account)
    for command in (
        ("GET", "of-others"),
        ("KEYS", "*"),
        ("SCAN", "0"),
        ("ACL", "LIST"),
        ("ACL", "GETUSER", "monitor"),
        ("CONFIG", "GET", "*"),
        ("CONFIG", "SET", "maxmemory", "1"),
        ("MONITOR",),
        ("FLUSHALL",),
        ("SHUTDOWN", "NOSAVE"),
        ("REPLICAOF", "NO", "ONE"),
        ("EVAL", "return redis.call('GET', 'of-others')", "1", "of-others"),
    ):
        _refused(url, command)


def test_a_workers_account_cannot_read_what_others_are_answered(deployment: Deployment) -> None:
    url = _broker_url(deployment, "worker")
    for command in (
        ("LRANGE", "4711.reply.celery.pidbox", "0", "-1"),
        ("BRPOP", "4711.reply.celery.pidbox", "1"),
        ("LLEN", "4711.reply.celery.pidbox"),
    ):
        _refused(url, command)


def test_the_monitors_account_changes_no_work(deployment: Deployment) -> None:
    url = _broker_url(deployment, "monitor")
    for command in (
        ("LPUSH", QUEUE, "work"),
        ("RPOP", QUEUE),
        ("LREM", QUEUE, "0", "work"),
        ("HDEL", HELD, "tag"),
        ("DEL", QUEUE),
        ("EVAL", f"return redis.call('LPUSH', '{QUEUE}', 'work')", "1", QUEUE),
    ):
        _refused(url, command)


def test_the_role_that_looks_cannot_write(deployment: Deployment) -> None:
    with _database(deployment, "reader") as connection:
        # That it is read-only from the start is a courtesy; this is what a stranger would type first.
        connection.execute("SET default_transaction_read_only = off")
        assert connection.execute("SELECT count(*) FROM results").fetchone()
        for statement in (
            "INSERT INTO runs (name) VALUES ('mine')",
            "UPDATE results SET answer = NULL",
            "DELETE FROM results",
            "TRUNCATE results",
            "DROP TABLE results",
            "CREATE TABLE mine (a int)",
            "CREATE SCHEMA mine",
            "SELECT nextval(pg_get_serial_sequence('runs', 'id'))",
        ):
            _denied(connection, statement)


@pytest.mark.parametrize("role", ["writer", "reader"])
def test_no_role_but_the_owner_changes_tables_and_none_reads_the_server(deployment: Deployment, role: str) -> None:
    with _database(deployment, role) as connection:
        connection.execute("SET default_transaction_read_only = off")
        for statement in (
            "ALTER TABLE results ADD COLUMN mine int",
            "DROP TABLE results",
            "CREATE TABLE mine (a int)",
            "SELECT rolpassword FROM pg_authid",
            "SELECT pg_read_file('/run/secrets/postgres_owner_password')",
            "COPY results TO PROGRAM 'true'",
            "SET ROLE persqa_owner",
            "CREATE ROLE mine",
        ):
            _denied(connection, statement)
    address = deployment.services.host("postgres").address
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(
            host=address, user=f"persqa_{role}", password=deployment.password(f"postgres_{role}"), dbname="postgres"
        )


def _broker_url(deployment: Deployment, account: str) -> str:
    url = deployment.settings(account, "reader").broker_url
    assert url is not None
    return url


def _refused(url: str, command: Sequence[str]) -> None:
    with closing(connect(url)) as client, pytest.raises(redis.ResponseError, match=r"(?i)perm"):
        client.execute_command(*command)


def _database(deployment: Deployment, role: str) -> psycopg.Connection:
    return psycopg.connect(deployment.settings("monitor", role).database_url, autocommit=True)


def _denied(connection: psycopg.Connection, statement: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        connection.execute(statement.encode())
