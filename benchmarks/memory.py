"""Whether a worker keeps its size, however many items it has answered."""

from __future__ import annotations

import psutil

from benchmarks.measuring import Pair
from benchmarks.site import Site, portraits

#: More than a worker's caches hold.
_IMAGES = 500


def late_against_early(*, early: int, late: int) -> Pair:
    """The worker's resident memory in MB after many items beside that after some, with images of 512 pixels."""
    with Site(engine="benchmarks.engines:InstantEngine", queue_bound=2 * late) as site:
        worker = psutil.Process(site.worker().process.pid)
        sizes: list[float] = []
        for items in (early, late - early):
            run = site.submit(portraits(site.folder, _IMAGES, records=items), tag_policy="check")
            run.wait(display=lambda _: None)
            site.check(run)
            sizes.append(worker.memory_info().rss / 1e6)
        return Pair(ours=sizes[1], theirs=sizes[0])
