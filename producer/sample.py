"""Sample: some items of a run to show, drawn so that what failed is among them, however rare it is."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from persqa.items import ItemId


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Some items of many.

    Attributes:
        items: their numbers, in the input's order.
        drawn: how many of them have which status.
        whole: how many there are of each status.
    """

    items: tuple[ItemId, ...]
    drawn: dict[str, int]
    whole: dict[str, int]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out."""
        return self.drawn == self.whole


def draw_items(found: Iterable[tuple[ItemId, str]], number: int, *, seed: int) -> Sample:
    """Draw so many items, the same ones each time; no more are kept meanwhile than `number` of each status.

    Args:
        found: all items, each with its status.
        number: how many to draw.
        seed: decides which.
    """
    counts = Counter[str]()
    # Of each status those with the smallest random numbers; negated, as a heap gives up its smallest.
    kept = defaultdict[str, list[tuple[int, "ItemId"]]](list)
    for item, status in found:
        counts[status] += 1
        entry = -_chance(seed, item), item
        if len(kept[status]) < number:
            heapq.heappush(kept[status], entry)
        else:
            heapq.heappushpop(kept[status], entry)
    # The most frequent first, whatever order they came in.
    whole = dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))
    drawn = shares(whole, number)
    items = [item for status, wanted in drawn.items() for _, item in heapq.nlargest(wanted, kept[status])]
    return Sample(items=tuple(sorted(items)), drawn=drawn, whole=whole)


def shares(whole: Mapping[str, int], number: int) -> dict[str, int]:
    """How many to draw of each status: half of them as frequent as they are, the others of what has fewest so far."""
    total = sum(whole.values())
    drawn = {status: min(items, number // 2 * items // total) if total else 0 for status, items in whole.items()}
    for _ in range(min(number, total) - sum(drawn.values())):
        rarest = min(
            (status for status in whole if drawn[status] < whole[status]), key=lambda status: (drawn[status], status)
        )
        drawn[rarest] += 1
    return drawn


def _chance(seed: int, item: int) -> int:
    return int.from_bytes(blake2b(f"{seed}/{item}".encode(), digest_size=8).digest())
