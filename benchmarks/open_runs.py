"""Open runs: how long one record takes through an idle system."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from typing import TYPE_CHECKING

import sqlalchemy as sa

from benchmarks.site import Site, one_small_image
from tests.support.servers import fresh_database, postgres_server
from tests.support.wait import spend

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How often somebody looks for the result, which is part of what is measured.
_LOOK_SECONDS = 0.001
_INSTANT = "benchmarks.engines:InstantEngine"


def of_one_record(*, records: int) -> Iterator[tuple[str, list[float]]]:
    """Seconds from `add` to a result that can be read, one record after the other, on each database."""
    with tempfile.TemporaryDirectory(prefix="persqa-bench-") as folder:
        yield "SQLite", _seconds(f"sqlite:///{folder}/bench.db", records)
    with postgres_server() as server, fresh_database(server) as url:
        yield "PostgreSQL", _seconds(url, records)


def p99(values: list[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(values, n=100, method="inclusive")[-1]


def _seconds(url: str, records: int) -> list[float]:
    took: list[float] = []
    chance = random.Random("benchmarks/open")
    with Site(engine=_INSTANT, database_url=url) as site:
        one_small_image(site.folder, 1)
        site.worker()
        run = site.client.open_run("camera", tag_policy="check", image_base=site.folder)
        engine = sa.create_engine(url)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for number in range(records):
                # Idle workers look a few times a second by themselves: at any moment in between.
                spend(chance.uniform(0.05, 0.35))
                started = time.monotonic()
                (ticket,) = run.add_many([{"image": "small.jpg", "id": number}])
                (item,) = ticket.place.items
                query = sa.text(f"SELECT 1 FROM results WHERE item_id = {item}")
                while connection.execute(query).first() is None:
                    spend(_LOOK_SECONDS)
                took.append(time.monotonic() - started)
        engine.dispose()
        run.close()
        site.check(run)
    return took
