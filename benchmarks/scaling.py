"""Whether more workers are as much faster: each with an engine that answers 50 items a second."""

from __future__ import annotations

from benchmarks.measuring import Pair, steady_rate
from benchmarks.site import Site, one_small_image
from tests.support.servers import fresh_database, postgres_server

_RATE = 50


def workers_against_one(*, workers: int, seconds: float) -> Pair:
    """Items a second of several workers, and of one."""
    with postgres_server() as server, fresh_database(server) as database:
        engine: dict[str, object] = {"engine": "benchmarks.engines:PacedEngine", "engine_args": {"rate": _RATE}}
        with Site(database_url=database, **engine) as site:
            rates: list[float] = []
            running = 0
            for number in (1, workers):
                while running < number:
                    site.worker()
                    running += 1
                load = one_small_image(site.folder, int(_RATE * number * seconds))
                run = site.submit(load, tag_policy="check")
                rates.append(
                    steady_rate(lambda run=run: sum(run.progress().ended.values()), load.items, timeout_seconds=300)
                )
                site.check(run)
            return Pair(ours=rates[1], theirs=rates[0])
