"""What the way from Redis to a committed row costs, beside a stock Celery worker that does nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measuring import Pair, in_turn, steady_rate
from benchmarks.peers.stock_celery import connection, left, send, stock_worker
from benchmarks.site import Site, one_small_image

if TYPE_CHECKING:
    from producer import RunHandle

_WRONG = """
SELECT COUNT(*) FROM results
WHERE run_id = {run} AND (status <> 'ok' OR answer <> '<mam> has number ' || item_id || '.')
"""


def against_stock_celery(*, items: int, pairs: int) -> list[Pair]:
    """Items a second with an engine that answers at once, and no-op tasks a second of a stock worker."""
    with Site(engine="benchmarks.engines:InstantEngine") as site:
        load = one_small_image(site.folder, items)
        client = connection(site.broker.url)
        site.worker()
        with stock_worker(site.broker.url, window=site.settings.window):

            def ours() -> float:
                run = site.submit(load, tag_policy="check")
                rate = steady_rate(lambda: sum(run.progress().ended.values()), items, timeout_seconds=300)
                _check(site, run)
                return rate

            def theirs() -> float:
                send(site.broker.url, items)
                return steady_rate(lambda: items - left(client), items, timeout_seconds=300)

            return in_turn(ours, theirs, pairs=pairs)


def _check(site: Site, run: RunHandle) -> None:
    site.check(run)
    assert site.scalar(_WRONG.format(run=run.run.id)) == 0
