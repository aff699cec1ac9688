"""PgBouncer in transaction mode, Debian's: another connection to PostgreSQL for every transaction."""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from persqa.errors import StoreUnavailable
from persqa.settings import load_settings
from persqa.store import Store
from producer import Client
from tests.integration.test_worker import quiet
from tests.support.builders import write_images
from tests.support.debian import unpacked
from tests.support.oracle import check_rows
from tests.support.pages import free_port
from tests.support.servers import fresh_database, valkey_server
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from collections.abc import Generator

_ITEMS = 200
#: Fewer than a worker alone would open.
_SERVER_CONNECTIONS = 4


@cache
def _pgbouncer() -> tuple[Path, Path] | None:
    """The program, and the folder of its libraries; None where Debian's packages cannot be had."""
    if (folder := unpacked("pgbouncer", "libevent-2.1-7", "libc-ares2")) is None:
        return None
    # It does not run as root, and whoever it runs as must find it.
    folder.chmod(0o755)
    (libraries,) = {found.parent for found in folder.glob("usr/lib/*/libcares.so.2")}
    return folder / "usr/sbin/pgbouncer", libraries


@pytest.fixture
def bouncer(_postgres: sa.URL) -> Generator[str]:
    """The URL of a fresh database behind it."""
    if (found := _pgbouncer()) is None:
        pytest.skip("apt-get cannot fetch Debian's package `pgbouncer`")
    program, libraries = found
    port, host = free_port(), str(_postgres.query["host"])
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": "transaction",
        "default_pool_size": _SERVER_CONNECTIONS,
    }
    with fresh_database(_postgres) as url, tempfile.TemporaryDirectory(prefix="persqa-pgbouncer-") as folder:
        Path(folder).chmod(0o755)
        configuration = Path(folder) / "pgbouncer.ini"
        lines = ["[databases]", f"* = host={host} user=postgres", "[pgbouncer]"]
        configuration.write_text("\n".join([*lines, *(f"{name} = {value}" for name, value in settings.items())]) + "\n")
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, configuration],
                env={**os.environ, "LD_LIBRARY_PATH": str(libraries)},
                # The one that may enter the folder of PostgreSQL's socket; only root has to become it.
                user=Path(host).owner() if os.geteuid() == 0 else None,
                stdout=log,
                stderr=log,
            )
        try:
            through = f"postgresql://postgres@127.0.0.1:{port}/{sa.make_url(url).database}"
            wait_until(lambda: _opens(through), describe="PgBouncer answers")
            yield through
        finally:
            process.kill()
            process.wait()


def _opens(url: str) -> bool:
    try:
        Store.open(url).close()
    except StoreUnavailable:
        return False
    return True


def test_a_run_goes_its_whole_way_through_pgbouncer(bouncer: str, tmp_path: Path) -> None:
    with valkey_server() as broker:
        settings = load_settings(
            broker_url=broker, database_url=bouncer, commit_items=1, commit_seconds=0.01, window=16, reconcile_seconds=1
        )
        settings = scripted(settings, "reads_colour")
        with (
            Client(settings) as client,
            WorkerProcess(settings, tmp_path) as one,
            WorkerProcess(settings, tmp_path) as other,
        ):
            run = client.submit(write_images(tmp_path / "data", _ITEMS))
            run.wait(timeout_seconds=60, display=quiet)
            check_rows(run, _ITEMS)
            assert run.audit().holds
            for worker in (one, other):
                assert "failed" not in worker.text(), worker.text()


def test_many_transactions_of_one_kind_need_nothing_of_the_last_connection(bouncer: str) -> None:
    with closing(Store.open(bouncer)) as one, closing(Store.open(bouncer)) as other:
        for _ in range(20):
            assert [store.runs.all() for store in (one, other)] == [[], []]
