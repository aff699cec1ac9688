"""Whether a worker keeps its size, however many items it has answered."""

from __future__ import annotations

import statistics

import psutil

from benchmarks.measuring import Pair
from benchmarks.site import Load, Site, portraits

#: More than a worker's caches hold.
_IMAGES = 500
#: Their pictures are all that counts here, and to draw somebody takes long.
_PEOPLE = 10
#: The share of the early items in which the size is looked at, again and again.
_LOOKED_AT = 0.5


def late_against_early(*, early: int, late: int) -> Pair:
    """The worker's resident memory in MB after many items beside that after some, with images of 512 pixels.

    A median of many looks: at any moment it depends on how many images are in flight.
    """
    looks = int(early * _LOOKED_AT)
    with Site(engine="benchmarks.engines:InstantEngine", queue_bound=2 * late) as site:
        worker = psutil.Process(site.worker().process.pid)

        def size_while(items: int) -> float:
            sizes: list[float] = []
            run = site.submit(_load(site, items), tag_policy="check")
            run.wait(display=lambda _: sizes.append(worker.memory_info().rss / 1e6))
            site.check(run)
            return statistics.median(sizes)

        size_while(early)
        first = size_while(looks)
        size_while(late - early - looks)
        return Pair(ours=size_while(looks), theirs=first)


def _load(site: Site, items: int) -> Load:
    return portraits(site.folder, _IMAGES, records=items, people=_PEOPLE)
