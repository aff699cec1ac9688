"""The order in which a worker takes from its queues."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from persqa.broker.keys import priority_of
from persqa.runs import Priority

if TYPE_CHECKING:
    from collections.abc import Iterable


def claim_order(queues: Iterable[str], turn: int) -> list[str]:
    """The same queues, those of a higher priority first; of the same priority each is the first one in its turn.

    So nothing is begun while something of a higher priority waits, and a long queue does not starve another one of the
    same priority.
    """
    same: defaultdict[Priority, list[str]] = defaultdict(list)
    for queue in queues:
        same[priority_of(queue)].append(queue)
    ordered: list[str] = []
    for priority in Priority:
        if group := same[priority]:
            first = turn % len(group)
            ordered += [*group[first:], *group[:first]]
    return ordered
