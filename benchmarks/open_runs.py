"""Open runs: how long one record takes through an idle system, and beside a run that has much in the queue."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import psutil
import sqlalchemy as sa

from benchmarks.measuring import Pair, in_turn
from benchmarks.peers.stock_celery import connection
from benchmarks.site import Site, one_small_image
from tests.support.servers import fresh_database, postgres_server
from tests.support.wait import spend, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from producer import RunHandle
    from producer.open_run import OpenRun

#: How often somebody looks for the result, which is part of what is measured.
_LOOK_SECONDS = 0.001
_INSTANT = "benchmarks.engines:InstantEngine"
_PAUSE_SECONDS = 0.2
#: What a worker answers before it is measured.
_WARM = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Small open runs beside a large run.

    Attributes:
        adds: seconds that `add` takes meanwhile; on SQLite it waits for the worker's commits.
        starts: seconds from then to the result of one record of an idle run, while the large one waits in the queue.
        rates: items of the large run for a second of processor time of worker and Redis, with and without the others.
    """

    adds: list[float]
    starts: list[float]
    rates: list[Pair]


def of_one_record(*, records: int) -> Iterator[tuple[str, list[float]]]:
    """Seconds from `add` to a result that can be read, one record after the other, on each database."""
    with tempfile.TemporaryDirectory(prefix="persqa-bench-") as folder:
        yield "SQLite", _seconds(f"sqlite:///{folder}/bench.db", records)
    with postgres_server() as server, fresh_database(server) as url:
        yield "PostgreSQL", _seconds(url, records)


def p99(values: list[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(values, n=100, method="inclusive")[-1]


def beside_a_large_run(*, items: int, small: int, seconds: float, pairs: int) -> Beside:
    """Measure for so long with the small runs, which take turns to add a record, and for so long without them."""
    with Site(engine=_INSTANT, queue_bound=10 * items) as site:
        large = site.submit(one_small_image(site.folder, items), tag_policy="check")
        runs = [site.client.open_run(f"small-{number}", image_base=site.folder) for number in range(small)]
        measured = _Measured(site, large, runs, seconds)
        # Until the window is full, and what is loaded late is loaded.
        wait_until(lambda: sum(large.progress().ended.values()) >= _WARM, describe="it is under way")
        rates = in_turn(measured.together, measured.alone, pairs=pairs)
        assert large.progress().pending > 0, "the large run has ended too soon: take more items"
        return Beside(adds=measured.adds, starts=measured.starts, rates=rates)


class _Measured:
    """A large run under way, and small ones that may join."""

    def __init__(self, site: Site, large: RunHandle, small: list[OpenRun], seconds: float) -> None:
        self._large, self._small, self._seconds = large, small, seconds
        self._worker = psutil.Process(site.worker().process.pid)
        self._broker_url = site.broker.url
        self._added = 0
        self.adds: list[float] = []
        self.starts: list[float] = []

    def alone(self) -> float:
        """The large run alone."""
        return self._rate(joined=False)

    def together(self) -> float:
        """The large run, and one record after the other of the small ones."""
        return self._rate(joined=True)

    def _rate(self, *, joined: bool) -> float:
        before, spent = self._ended, self._spent
        until = time.monotonic() + self._seconds
        while time.monotonic() < until:
            if joined:
                self._add_one()
            spend(_PAUSE_SECONDS)
        return (self._ended - before) / (self._spent - spent)

    def _add_one(self) -> None:
        run = self._small[self._added % len(self._small)]
        self._added += 1
        started = time.monotonic()
        run.add({"image": "small.jpg", "id": self._added})
        added = time.monotonic()
        self.adds.append(added - started)
        while run.progress().pending:
            spend(_LOOK_SECONDS)
        self.starts.append(time.monotonic() - added)

    @property
    def _ended(self) -> int:
        return sum(self._large.progress().ended.values())

    @property
    def _spent(self) -> float:
        """Seconds of processor time of the worker and of Redis."""
        with closing(connection(self._broker_url)) as client:
            info = cast("dict[str, float]", client.info("cpu"))
        worker = self._worker.cpu_times()
        return worker.user + worker.system + info["used_cpu_user"] + info["used_cpu_sys"]


def _seconds(url: str, records: int) -> list[float]:
    took: list[float] = []
    chance = random.Random("benchmarks/open")
    with Site(engine=_INSTANT, database_url=url) as site:
        one_small_image(site.folder, 1)
        site.worker()
        run = site.client.open_run("camera", tag_policy="check", image_base=site.folder)
        engine = sa.create_engine(url)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for number in range(records + 1):
                # Idle workers look a few times a second by themselves: at any moment in between.
                spend(chance.uniform(0.05, 0.35))
                started = time.monotonic()
                (item,) = run.add({"image": "small.jpg", "id": number}).items
                query = sa.text(f"SELECT 1 FROM results WHERE item_id = {item}")
                while connection.execute(query).first() is None:
                    spend(_LOOK_SECONDS)
                took.append(time.monotonic() - started)
        engine.dispose()
        run.close()
        site.check(run)
    # With the first one, both sides load what they need.
    return took[1:]
