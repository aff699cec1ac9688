"""Fixtures: a site is a broker and a database of real servers, and after every test on it the audit must hold."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import psutil
import pytest
import sqlalchemy as sa

from persqa.audit import audit
from persqa.broker.connection import connect
from persqa.broker.depth import Inspector
from persqa.broker.keys import QUEUE
from persqa.settings import Settings, load_settings
from persqa.store import Store
from tests.support.servers import fresh_database, postgres_server, redis_server, valkey_server
from tests.support.wait import wait_until

os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no `.env` file of the developer reaches a test."""
    for name in list(os.environ):
        if name.startswith("PERSQA_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """No thread of ours and no child process outlives a test."""
    before = set(psutil.Process().children(recursive=True))
    yield
    wait_until(lambda: not _our_threads(), describe=f"threads end: {_our_threads()}", seconds=5)
    left = [child for child in psutil.Process().children(recursive=True) if child not in before]
    mine = [child for child in left if child.is_running() and not _is_server(child)]
    assert not mine, f"processes left behind: {mine}"


@pytest.fixture(scope="session")
def _postgres() -> Iterator[sa.URL]:
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/persqa.db"
        return
    with fresh_database(request.getfixturevalue("_postgres")) as url:
        yield url


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """An open store on it."""
    opened = Store.open(database_url)
    yield opened
    opened.close()


@pytest.fixture(params=["valkey", "redis"])
def broker_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh server of each kind."""
    with valkey_server() if request.param == "valkey" else redis_server() as url:
        yield url


@dataclass(frozen=True)
class Site:
    """A broker and a database."""

    settings: Settings


@pytest.fixture(params=["valkey+sqlite", "redis+postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """Each broker and each database once; afterwards every run's audit must hold and no key may be left."""
    with ExitStack() as stack:
        if request.param == "valkey+sqlite":
            broker, database = stack.enter_context(valkey_server()), f"sqlite:///{tmp_path}/persqa.db"
        else:
            broker = stack.enter_context(redis_server())
            database = stack.enter_context(fresh_database(request.getfixturevalue("_postgres")))
        settings = load_settings(broker_url=broker, database_url=database, commit_seconds=0.05, drain_seconds=20)
        yield Site(settings)
        _check_audit(settings)
        _check_keys(broker)


def _check_audit(settings: Settings) -> None:
    store, inspector = Store.open(settings.database_url), Inspector(settings.broker_url or "")
    for run in store.ledger.runs():
        found = audit(store, run, inspector)
        assert found.holds, found.problems
    inspector.close()
    store.close()


def _check_keys(broker: str) -> None:
    """Only the queues may be left, and what kombu keeps of its exchanges."""
    client = connect(broker)
    keys = {key.decode() for key in cast("Iterable[bytes]", client.scan_iter())}  # pyright: ignore
    client.close()
    unknown = {key for key in keys if not key.startswith(("_kombu.binding", QUEUE)) or "unacked" in key}
    assert not unknown, f"keys left in Redis: {unknown}"


def _our_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("persqa")]


def _is_server(process: psutil.Process) -> bool:
    """PostgreSQL lives for the whole session, and its children come and go."""
    try:
        return "postgres" in process.name()
    except psutil.NoSuchProcess:
        return True
