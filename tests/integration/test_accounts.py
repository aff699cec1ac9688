"""The fleet under the accounts that docker-compose.yml gives its services: each does its work, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import redis
from psycopg import errors
from redis.exceptions import NoPermissionError

from persqa.broker.connection import connect
from persqa.broker.keys import COUNTS, HELD, HISTORIES, LEASES, QUEUE, RECONCILED, TRANSPORT_OPTIONS, queue_for
from persqa.broker.leases import Leases
from persqa.errors import BrokerUnavailable
from persqa.runs import Priority
from tests.support.builders import write_images
from tests.support.compose import environment_of
from tests.support.debian_redis import MISSING, debian_redis_binary
from tests.support.guarded import (
    ROOT,
    Guarded,
    free_port,
    guarded_broker,
    guarded_database,
    make_secrets,
    wheel_postgres,
)
from tests.support.servers import valkey_binary
from tests.support.wait import wait_until

pytestmark = pytest.mark.xdist_group("accounts")

_ACCOUNTS = ("producer", "worker", "monitor")
_QUEUES = [queue_for(model, priority) for model in (None, "org/model") for priority in Priority]
#: How a server says no: Valkey, then Redis to a script.
_NO = r"(?i)perm|user executing the script can't"
_OTHERS = ("celery", "persqax", "_kombu.other", "session:1", "unacked", "celery-task-meta-1")


@dataclass(frozen=True, slots=True)
class Fleet:
    """A broker, a database with its tables, and where it all is."""

    folder: Path
    broker: Guarded
    database: Guarded

    def environment(self, service: str, account: str | None, role: str) -> dict[str, str]:
        """That of a service, with the addresses of these servers and the passwords as variables."""
        given = environment_of(service)
        for name in ("PERSQA_BROKER_URL", "PERSQA_DATABASE_URL"):
            if name in given:
                given[name] = (
                    given[name]
                    .replace("redis:6379", f"127.0.0.1:{self.broker.port}")
                    .replace("postgres:5432", f"127.0.0.1:{self.database.port}")
                )
        if account is not None:
            given["PERSQA_BROKER_PASSWORD"] = self.broker.password(f"redis_{account}")
        given["PERSQA_DATABASE_PASSWORD"] = self.database.password(f"postgres_{role}")
        given |= {"PERSQA_IMAGE_ROOTS": str(self.folder), "PERSQA_BLOB_STORE": str(self.folder / "blobs")}
        ours = {name: value for name, value in os.environ.items() if not name.startswith("PERSQA_")}
        return {**ours, **given, "PYTHONPATH": str(ROOT)}

    def persqa(self, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
        """One command, as a person types it."""
        command = [sys.executable, "-m", "producer.cli", *arguments]
        return subprocess.run(
            command, env=environment, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )

    def redis(self, account: str) -> redis.Redis:
        """A connection of that account."""
        return connect(self.url(account))

    def url(self, account: str) -> str:
        """The broker's, for that account."""
        password = self.broker.password(f"redis_{account}")
        return f"{self.broker.scheme}://{account}:{password}@127.0.0.1:{self.broker.port}/0"

    def sql(self, role: str) -> psycopg.Connection:
        """A connection of that role."""
        password = self.database.password(f"postgres_{role}")
        user = "postgres" if role == "superuser" else f"persqa_{role}"
        return psycopg.connect(
            host="127.0.0.1", port=self.database.port, user=user, password=password, dbname="persqa", autocommit=True
        )


@contextmanager
def _fleet(server: Path, database: Guarded, folder: Path) -> Generator[Fleet]:
    with guarded_broker(server, database.secrets) as broker:
        yield Fleet(folder, broker, database)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A PostgreSQL 18 with our roles, and the tables made by their owner."""
    secrets = make_secrets(tmp_path_factory.mktemp("accounts") / "secrets")
    with guarded_database(wheel_postgres(), secrets) as server:
        folder = secrets.parent
        alone = Fleet(folder, server, server)
        ended = alone.persqa(alone.environment("migrate", None, "owner"), "migrate")
        assert ended.returncode == 0, ended.stderr
        yield server


@pytest.fixture(scope="module", params=["valkey", "redis"])
def fleet(
    request: pytest.FixtureRequest, database: Guarded, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    """With a Valkey, and with Debian's Redis where it can be had."""
    server = valkey_binary() if request.param == "valkey" else debian_redis_binary()
    if server is None:
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp(str(request.param))
    with _fleet(server, database, folder) as found:
        yield found


def test_every_role_does_its_work_with_its_own_account(fleet: Fleet) -> None:
    before = _refusals(fleet)
    write_images(fleet.folder / "data", 40)
    run = f"run-{fleet.broker.port}"
    producer = fleet.environment("submit", "producer", "writer")
    with _worker(fleet) as log:
        ended = fleet.persqa(producer, "submit", "data/records.jsonl", "--run", run)
        assert ended.returncode == 0, ended.stderr
        looking = fleet.environment("exporter", "monitor", "reader")
        wait_until(
            lambda: _status(fleet, looking, run)["runs"][0]["pending"] == 0, describe="all is answered", seconds=120
        )
        # Whoever submits sees the worker, too.
        for environment in (producer, looking):
            assert [worker["model"] for worker in _status(fleet, environment, run)["workers"]] == ["scripted"]
        for arguments in (["audit", run], ["requeue", run, "--status", "dead"]):
            ended = fleet.persqa(producer, *arguments)
            assert ended.returncode == 0, (arguments, ended.stdout, ended.stderr)
        text = log.read_text()
    assert fleet.broker.password("redis_worker") not in text
    assert fleet.broker.password("postgres_writer") not in text
    assert f"worker:**@127.0.0.1:{fleet.broker.port}" in text
    assert "perm" not in text.lower(), text
    assert _refusals(fleet) == before


def test_what_waits_is_withdrawn_by_the_producer(fleet: Fleet) -> None:
    write_images(fleet.folder / "waiting", 10)
    run = f"waiting-{fleet.broker.port}"
    producer = fleet.environment("submit", "producer", "writer")
    for arguments in (
        ["submit", "waiting/records.jsonl", "--run", run],
        ["priority", run, "low"],
        ["pause", run],
        ["resume", run],
        ["cancel", run],
    ):
        ended = fleet.persqa(producer, *arguments)
        assert ended.returncode == 0, (arguments, ended.stdout, ended.stderr)
    with closing(fleet.redis("producer")) as client:
        assert [client.llen(queue) for queue in _QUEUES] == [0] * len(_QUEUES)


def test_flower_sees_the_workers_and_may_not_change_them(fleet: Fleet, tmp_path: Path) -> None:
    port = free_port()
    environment = fleet.environment("flower", "monitor", "reader") | {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'deploy' / 'flower'}",
        "FLOWER_READ_ONLY": "true",
        "FLOWER_UNAUTHENTICATED_API": "true",
    }
    command = [sys.executable, "-m", "celery", "flower", "--address=127.0.0.1", f"--port={port}"]
    with _worker(fleet), (tmp_path / "flower.log").open("wb") as log:
        flower = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=log, stderr=log)
        try:
            found = wait_until(
                lambda: _asked(f"http://127.0.0.1:{port}/api/workers?refresh=1"),
                describe=f"Flower lists a worker: {(tmp_path / 'flower.log').read_text()}",
            )
            (name,) = json.loads(found or b"")
            shutdown = urllib.request.Request(f"http://127.0.0.1:{port}/api/worker/shutdown/{name}", method="POST")
            with pytest.raises(urllib.error.HTTPError, match="40"):
                urllib.request.urlopen(shutdown, timeout=10)
        finally:
            flower.terminate()
            flower.wait(20)
    text = (tmp_path / "flower.log").read_text()
    assert fleet.broker.password("redis_monitor") not in text
    assert "perm" not in text.lower(), text


def test_what_scales_the_fleet_can_measure_it(fleet: Fleet) -> None:
    # What KEDA asks, in its own way: a script that looks what a key is, and how long.
    script = """
        local kind = redis.call('TYPE', KEYS[1]).ok
        return redis.call(({list = 'LLEN', none = 'LLEN', hash = 'HLEN', zset = 'ZCARD'})[kind], KEYS[1])
    """
    with closing(fleet.redis("worker")) as worker, closing(fleet.redis("monitor")) as monitor:
        worker.lpush(queue_for(None, Priority.LOW), "not a message")
        worker.hset(HELD, "tag", "not an entry")
        try:
            for key, length in ((queue_for(None, Priority.LOW), 1), (HELD, 1), (QUEUE, 0)):
                assert monitor.eval(script, 1, key) == length
        finally:
            worker.rpop(queue_for(None, Priority.LOW))
            worker.hdel(HELD, "tag")


@pytest.mark.parametrize("queue", _QUEUES)
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
        for key in [*_QUEUES, HELD, LEASES, COUNTS, HISTORIES, f"{RECONCILED}:0"]:
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
    client = redis.Redis(port=fleet.broker.port, **given)  # pyright: ignore
    with closing(client), pytest.raises((redis.AuthenticationError, redis.ResponseError)):
        client.llen(QUEUE)


def test_a_wrong_password_is_told_to_people_and_not_shown(fleet: Fleet) -> None:
    environment = fleet.environment("submit", "producer", "writer") | {"PERSQA_BROKER_PASSWORD": "guessed"}
    ended = fleet.persqa(environment, "doctor")
    assert ended.returncode == 1
    assert "redis://producer:***@" in ended.stdout
    assert "guessed" not in ended.stdout + ended.stderr


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


@contextmanager
def _worker(fleet: Fleet) -> Generator[Path]:
    environment = fleet.environment("worker", "worker", "writer") | {
        "PERSQA_ENGINE": "tests.support.scripted_engine:ScriptedEngine",
        "PERSQA_ENGINE_ARGS": '{"script": "tests.support.scripts:reads_colour"}',
        # Often enough that it looks for lost items while a test runs.
        "PERSQA_RECONCILE_SECONDS": "1",
    }
    environment.pop("PERSQA_METRICS_PORT")
    log = fleet.folder / f"worker-{os.urandom(3).hex()}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker"],
            env=environment,
            cwd=fleet.folder,
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
        )
    try:
        wait_until(
            lambda: process.poll() is not None or " ready." in log.read_text(), describe=f"the worker is ready; {log}"
        )
        assert process.poll() is None, log.read_text()
        yield log
    finally:
        process.terminate()
        process.wait(60)
        assert process.stdin is not None
        process.stdin.close()


def _status(fleet: Fleet, environment: dict[str, str], run: str) -> dict[str, list[dict[str, object]]]:
    ended = fleet.persqa(environment, "status", run, "--json")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def _refusals(fleet: Fleet) -> list[int]:
    """What anybody was refused so far, where the server counts it: Valkey, and Redis from 7.2 on."""
    with closing(fleet.redis("producer")) as client:
        counted: dict[str, int] = client.info("stats")  # pyright: ignore
    return [counted.get(f"acl_access_denied_{what}", 0) for what in ("cmd", "key", "channel")]


def _refused(client: redis.Redis, command: tuple[str, ...]) -> None:
    """A script is told in words of its own that it was refused something."""
    with pytest.raises(redis.ResponseError, match=_NO) as caught:
        client.execute_command(*command)  # pyright: ignore
    assert command[0] == "EVAL" or isinstance(caught.value, NoPermissionError), command


def _asked(url: str) -> bytes | None:
    """What it says, once it says something."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            said: bytes = answer.read()
    except OSError:
        return None
    return said if json.loads(said) else None
