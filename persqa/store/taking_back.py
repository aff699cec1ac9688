"""Taking results back, so that their items can be asked again: they are kept as earlier results."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import sqlalchemy as sa

from persqa.store.counters import count
from persqa.store.evidence import flags, spot_checks
from persqa.store.flags import count_flags, take_out_flags
from persqa.store.results import keep_as_earlier
from persqa.store.reviews import take_back_reviews
from persqa.store.schema import items, results

if TYPE_CHECKING:
    from collections.abc import Mapping

    from persqa.items import ItemId
    from persqa.runs import RunId
    from persqa.store.database import Database


def take_back(database: Database, connection: sa.Connection, run_id: RunId, statuses: Mapping[ItemId, str]) -> None:
    """Take back the results of items of a run, whose row is locked; `statuses` are those of the results."""
    taken = list(statuses)
    if not taken:
        return
    # Before the count of requeues goes up, which is that of the result.
    keep_as_earlier(connection, taken)
    take_back_reviews(connection, taken)
    anew = {"requeues": items.c.requeues + 1, "recoveries": 0}
    connection.execute(sa.update(items).where(items.c.id.in_(taken)).values(anew))
    # Of the answer that was there.
    connection.execute(sa.delete(spot_checks).where(spot_checks.c.item_id.in_(taken)))
    flagged = take_out_flags(connection, flags.c.item_id.in_(taken))
    connection.execute(sa.delete(results).where(results.c.item_id.in_(taken)))
    changes = Counter((int(run_id), status) for status in statuses.values())
    count(database, connection, Counter({key: -number for key, number in changes.items()}))
    count_flags(database, connection, flagged)
