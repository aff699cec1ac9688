"""Fixtures: a site is a broker and a database of real servers, and after every test on it the audit must hold."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import psutil
import pytest
import sqlalchemy as sa
from hypothesis import settings as hypothesis_settings
from hypothesis.configuration import set_hypothesis_home_dir

from persqa.settings import Settings, load_settings
from persqa.store import Store
from tests.support.databases import with_tables
from tests.support.oracle import check_audits, check_keys
from tests.support.programs import is_server
from tests.support.servers import (
    BrokerProcess,
    broker_process,
    fresh_database,
    postgres_server,
    redis_binary,
    redis_server,
    valkey_binary,
    valkey_server,
)
from tests.support.wait import wait_until

os.environ["HF_HUB_OFFLINE"] = "1"

#: What takes seconds to load, which each process of the tests would spend on collecting them: tests import these where
#: they use them.
_HEAVY = frozenset({"boto3", "celery.bin.worker", "datasets", "moto", "pandas", "torch", "transformers", "vllm"})

#: Where Linux lists the children of a thread; not every kernel does.
_LISTS_CHILDREN = Path("/proc/thread-self/children")

#: Chooses between the short amount and the long one.
Size: TypeAlias = Callable[[int, int], int]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Faults in full number and length, instead of the few that fit into every test run."""
    parser.addoption("--chaos", action="store_true", help="inject faults in full number and length; takes hours")
    parser.addoption("--soak", action="store_true", help="half an hour of random faults, too")


def pytest_configure() -> None:
    """Let Hypothesis find what it kept, as each test starts in an empty folder; and take the time of a busy machine."""
    set_hypothesis_home_dir(Path(__file__).parents[1] / ".hypothesis")
    hypothesis_settings.register_profile("ours", deadline=None)
    hypothesis_settings.load_profile("ours")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The soak runs only where asked for; a test of a whole site meets one in a short run, and each in a long one.

    Its parts meet both databases and both brokers in tests of their own.

    With several processes (`-n`), what loads vLLM goes to three of them, and what looks at pages to one; xdist has to
    come second to see it.
    """
    for item in items:
        if "/end_to_end/" in item.path.as_posix():
            item.add_marker(pytest.mark.xdist_group(_vllm_group(item)))
        elif "/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.xdist_group("browser"))
    if not config.getoption("--soak"):
        items[:] = [item for item in items if item.get_closest_marker("soak") is None]
    if not config.getoption("--chaos"):
        sites: defaultdict[str, list[str]] = defaultdict(list)
        for item in items:
            sites[_without_site(item.nodeid)].append(item.nodeid)
        items[:] = [item for item in items if _on_its_site(item, sites)]


def _vllm_group(item: pytest.Item) -> str:
    """What has an engine in its own process, what shares a worker, and what starts programs that load it themselves."""
    if item.path.name.startswith("test_vllm_"):
        return "vllm-in-process"
    return "vllm-worker" if "demo" in getattr(item, "fixturenames", ()) else "vllm-programs"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Collecting loads nothing that takes long, and what it has loaded stays.

    What shares a server must stay together; there were versions of pytest with which xdist ignored it silently.
    """
    # Looking for garbage among thousands of tests that are none would take a twentieth of their time.
    gc.freeze()
    if loaded := _HEAVY & sys.modules.keys():
        raise pytest.UsageError(f"some test module imports {', '.join(sorted(loaded))} at its top: import it inside")
    grouped = [item for item in session.items if item.get_closest_marker("xdist_group") is not None]
    if session.config.getoption("loadgroup", default=False) and any("@" not in item.nodeid for item in grouped):
        raise pytest.UsageError("xdist ignores the groups of tests (--dist loadgroup): install the pinned pytest")


def _on_its_site(item: pytest.Item, sites: Mapping[str, list[str]]) -> bool:
    """Whether this is the site that a test meets in a short run; the same one every time."""
    of_test = sorted(sites[_without_site(item.nodeid)])
    return item.nodeid == of_test[zlib.crc32(_without_site(item.name).encode()) % len(of_test)]


def _without_site(test: str) -> str:
    return test.replace("valkey+sqlite", "").replace("redis+postgresql", "")


@pytest.fixture(scope="session")
def size(request: pytest.FixtureRequest) -> Size:
    """How many faults, and how long: few and short in every test run, many and long with `--chaos`."""
    long = bool(request.config.getoption("--chaos"))
    return lambda few, many: many if long else few


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no `.env` file of the developer reaches a test."""
    for name in list(os.environ):
        if name.startswith("PERSQA_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    # A test that runs the command line in this process must not have the others read of flags.
    monkeypatch.setattr("persqa.words._writes_flags", False)
    monkeypatch.setattr("persqa.words._typed", "")


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """No thread of ours and no child process outlives a test."""
    started = time.time()
    yield
    wait_until(lambda: not _our_threads(), describe=f"threads end: {_our_threads()}", seconds=5)
    left = [child for child in _children() if child.create_time() >= started]
    mine = [child for child in left if child.is_running() and not _is_server(child)]
    assert not mine, f"processes left behind: {mine}"


@pytest.fixture(scope="session")
def _postgres() -> Iterator[sa.URL]:
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def _with_tables(_postgres: sa.URL) -> Iterator[str]:
    """The name of a database with all tables: copying that takes a third of the time of making them."""
    with fresh_database(_postgres) as url:
        Store.open(url).close()
        yield str(sa.make_url(url).database)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database of each kind: that of SQLite is not there yet, that of PostgreSQL has its tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/persqa.db"
        return
    with fresh_database(request.getfixturevalue("_postgres"), like=request.getfixturevalue("_with_tables")) as url:
        yield url


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """An open store on it."""
    if database_url.startswith("sqlite:///"):
        with_tables(Path(database_url.removeprefix("sqlite:///")))
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
    broker: BrokerProcess


@pytest.fixture(params=["valkey+sqlite", "redis+postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """Each broker and each database once; afterwards every run's audit must hold and no key may be left."""
    with ExitStack() as stack:
        if request.param == "valkey+sqlite":
            broker = stack.enter_context(broker_process(valkey_binary()))
            database = with_tables(tmp_path / "persqa.db")
        else:
            broker = stack.enter_context(broker_process(redis_binary()))
            tables = request.getfixturevalue("_with_tables")
            database = stack.enter_context(fresh_database(request.getfixturevalue("_postgres"), like=tables))
        settings = load_settings(broker_url=broker.url, database_url=database, commit_seconds=0.05, drain_seconds=20)
        yield Site(settings, broker)
        check_audits(settings)
        check_keys(broker.url)


def _our_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("persqa")]


def _children() -> list[psutil.Process]:
    """The processes that this one has started, and theirs."""
    if not _LISTS_CHILDREN.exists():
        return psutil.Process().children(recursive=True)
    return [process for pid in _pids_below(os.getpid()) if (process := _process(pid)) is not None]


def _pids_below(pid: int) -> Iterator[int]:
    """As the kernel lists them; `psutil` reads every process of the machine, which took longer than most tests."""
    for threads in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, threads.read_text().split()):
                yield child
                yield from _pids_below(child)


def _process(pid: int) -> psutil.Process | None:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid)
    return None


def _is_server(process: psutil.Process) -> bool:
    """PostgreSQL, the browser and what forks programs live longer than a test; their children come and go."""
    try:
        return any(name in process.name() for name in ("postgres", "chrom")) or is_server(process)
    except psutil.NoSuchProcess:
        return True
