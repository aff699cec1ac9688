"""The fleet of docker-compose.yml at work, while links are cut, a worker comes and another one goes."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, cast

import psycopg
import pytest
import sqlalchemy as sa

from persqa.broker.connection import connect
from persqa.broker.keys import HELD
from persqa.settings import Settings
from producer import Client
from tests.conftest import Size
from tests.support.oracle import check_audits, check_empty, check_rows
from tests.support.wait import wait_until
from tests.topology.conftest import WORKERS, Deployment
from tests.topology.services import Container, facts

if TYPE_CHECKING:
    from tests.topology.network import Host

pytestmark = pytest.mark.xdist_group("topology")

#: Enough for a lease to run out, and for a worker to come back; with room for a busy machine.
_SOON = 90
#: What a worker may commit without having come back: its window, and once more what was on its way.
_IN_HAND = 32


class Results:
    """What has ended, read as the role that may only look."""

    def __init__(self, settings: Settings) -> None:
        url = settings.database_url.replace("postgresql:", "postgresql+psycopg:")
        # The server gives up this connection, too, while its link is down.
        self._engine = sa.create_engine(url, pool_pre_ping=True)

    def by_worker(self) -> Counter[str]:
        """How many items each worker host has ended."""
        rows = self._rows("SELECT split_part(worker, ':', 1), count(*) FROM results GROUP BY 1")
        return Counter({str(host): int(str(count)) for host, count in rows})

    def ended(self) -> set[int]:
        """The items that have."""
        return {int(str(item)) for (item,) in self._rows("SELECT item_id FROM results")}

    def _rows(self, query: str) -> list[tuple[object, ...]]:
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(query))]

    def close(self) -> None:
        self._engine.dispose()


def test_the_fleet_outlives_cut_links_and_changes(deployment: Deployment, size: Size) -> None:
    services = deployment.services
    # Slow enough that the run outlasts the faults on a busy machine.
    deployment.take(4)
    submitted = services.run("submit", "records.jsonl", "--run", "faults", "--json", host="producer")
    number = deployment.items
    assert facts(submitted) == {
        "run": "faults", "records": number, "enqueued": number, "invalid": 0, "passed_over": []
    }  # fmt: skip
    lost = _lose_a_host(deployment)
    with closing(Results(deployment.settings("monitor", "reader"))) as results:
        _wait_for_results(results, *(f"worker-{number}" for number in range(1, WORKERS + 1)))
        for _ in range(size(1, 8)):
            _cut_off_a_worker(deployment, results, services[f"worker-{random.choice((1, 2, 4))}"])
        (added,) = services.start("worker", WORKERS + 1)
        try:
            _wait_for_results(results, added.host.name)
            _drain(deployment, services["worker-3"])
            services.remove("worker-3")
            for _ in range(size(1, 8)):
                _cut_off_a_server(deployment, results, services.host("redis"), "Redis at")
                _cut_off_a_server(deployment, results, services.host("postgres"), "the database")
            deployment.take(0.01)
            _check_all(deployment)
            wait_until(lambda: not _connections(deployment, lost), describe="PostgreSQL forgets the lost host")
        finally:
            services.remove(added.host.name)


def _lose_a_host(deployment: Deployment) -> Host:
    """One with a connection to PostgreSQL is gone for good, without a word and with an answer on its way."""
    host = deployment.services.host("lost")
    url = deployment.settings("producer", "writer").database_url
    connecting = f"import psycopg; c = psycopg.connect({url!r}); c.execute('SELECT 1'); print(); input()"
    command = host.inside([sys.executable, "-c", connecting])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        host.cut()
        process.kill()
    assert _connections(deployment, host) == 1
    return host


def _connections(deployment: Deployment, host: Host) -> int:
    """How many PostgreSQL believes that it has to a host; a role sees its own."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE client_addr = %s::inet"
    with psycopg.connect(deployment.settings("producer", "writer").database_url) as connection:
        found = connection.execute(query, [host.address]).fetchone()
    assert found is not None
    return found[0]


def _cut_off_a_worker(deployment: Deployment, results: Results, worker: Container) -> None:
    """Its items restart elsewhere while it is away, and it comes back by itself."""
    had = _in_hand(deployment, worker)
    before = results.by_worker()[worker.host.name]
    with _cut(worker.host):
        wait_until(lambda: had <= results.ended(), describe=f"{worker.host.name}'s items end elsewhere", seconds=_SOON)
        # What it had in its hands may have been committed right before.
        at_most = before + len(had)
    _wait_for_more(results, {worker.host.name: at_most})


def _drain(deployment: Deployment, worker: Container) -> None:
    """It finishes what it has, and leaves nothing."""
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0, worker.text()
    assert not _in_hand(deployment, worker)


def _cut_off_a_server(deployment: Deployment, results: Results, server: Host, complaint: str) -> None:
    """Every worker notices, waits, and goes on."""
    workers = [deployment.services[f"worker-{number}"] for number in (1, 2, 4, WORKERS + 1)]
    said = {worker.host.name: worker.text().count(complaint) for worker in workers}
    before = results.by_worker()
    with _cut(server):
        for worker in workers:
            name = worker.host.name
            wait_until(
                lambda worker=worker, name=name: worker.text().count(complaint) > said[name],
                describe=f"{name} notices that {server.name} is away",
                seconds=_SOON,
            )
    _wait_for_more(results, {worker.host.name: before[worker.host.name] + _IN_HAND for worker in workers})
    assert all(worker.process.poll() is None for worker in workers)


@contextmanager
def _cut(host: Host) -> Generator[None]:
    host.cut()
    try:
        yield
    finally:
        host.mend()


def _wait_for_results(results: Results, *hosts: str) -> None:
    _wait_for_more(results, dict.fromkeys(hosts, 0))


def _wait_for_more(results: Results, than: dict[str, int]) -> None:
    """Wait until each of these hosts has ended more items than that, and say how long it took."""
    start = time.monotonic()
    for host, count in than.items():
        wait_until(
            lambda host=host, count=count: results.by_worker()[host] > count, describe=f"{host} works", seconds=_SOON
        )
        print(f"{host} worked after {time.monotonic() - start:.1f} s")


def _in_hand(deployment: Deployment, worker: Container) -> set[int]:
    """The items it holds, as Redis has it."""
    with closing(connect(deployment.settings("monitor", "reader").broker_url or "")) as redis:
        entries = cast("Iterator[tuple[bytes, bytes]]", redis.hscan_iter(HELD))
        held = [entry.decode().split("\n", 2) for _, entry in entries]
    # A task's id ends with that of its item.
    tasks = [json.loads(text)["headers"]["id"] for who, _, text in held if who.split(":")[0] == worker.host.name]
    return {int(task.rpartition("-")[2]) for task in tasks}


def _check_all(deployment: Deployment) -> None:
    settings = deployment.settings("producer", "writer")
    with Client(settings) as client:
        run = client.run("faults")
        run.wait(timeout_seconds=240, display=lambda _progress: None)
        check_rows(run, deployment.items)
    check_empty(deployment.settings("monitor", "reader"))
    check_audits(settings)
    (found,) = cast("list[dict[str, object]]", facts(deployment.services.run("persqa", "audit", "faults", "--json")))
    assert found["holds"]
    assert found["queue_checked"]
    assert (found["submitted"], found["ok"]) == (deployment.items, deployment.items)
