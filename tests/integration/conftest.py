"""Servers with accounts, started once for all that ask who may do what; one with a clock that can be set; catalogs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.clocks import Clocks, clocked_script
from tests.support.debian_redis import MISSING, debian_redis_binary
from tests.support.fleet import Fleet, fleet_with
from tests.support.guarded import (
    Guarded,
    guarded_database,
    make_secrets,
    wheel_postgres,
)
from tests.support.servers import valkey_binary

if TYPE_CHECKING:
    from persqa.store import Store
    from producer.web.catalog import Catalogs


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A PostgreSQL 18 with our roles, and the tables made by their owner."""
    secrets = make_secrets(tmp_path_factory.mktemp("accounts") / "secrets")
    with guarded_database(wheel_postgres(), secrets) as server:
        folder = secrets.parent
        alone = Fleet(folder, server, server)
        ended = alone.persqa(alone.environment("migrate", None, "owner"), "migrate")
        assert ended.returncode == 0, ended.stderr
        yield server


@pytest.fixture(scope="session", params=["valkey", "redis"])
def fleet(
    request: pytest.FixtureRequest, database: Guarded, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    """With a Valkey, and with Debian's Redis where it can be had."""
    server = valkey_binary() if request.param == "valkey" else debian_redis_binary()
    if server is None:
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp(str(request.param))
    with fleet_with(server, database, folder) as found:
        yield found


@pytest.fixture
def clocks(broker_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clocks]:
    """Clocks that scripts and workers look at instead of the real ones."""
    found = Clocks(broker_url)
    monkeypatch.setattr("persqa.broker.leases.script", clocked_script)
    monkeypatch.setattr("persqa.broker.leases.monotonic", lambda: float(found.own))
    yield found
    found.redis.close()


@pytest.fixture
def catalogs(store: Store) -> Iterator[Catalogs]:
    """The catalogs of the database."""
    # Imported here, as few tests need numpy.
    from producer.web.catalog import Catalogs

    opened = Catalogs(store)
    yield opened
    opened.close()
