"""Batches: one decision about everything that a view shows, made in steps while its person looks on."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from persqa.clock import now
from persqa.errors import Infrastructure, UserError
from persqa.items import ItemId
from persqa.reviews import Decision, new_action

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persqa.runs import Run
    from persqa.store import Store

#: Items of one step: few enough that a person sees it go on.
_AT_ONCE = 2000
#: Batches that are remembered once they are over, and those that nobody has begun.
_KEPT_ENDED, _KEPT_ASKED = 50, 2


@dataclass(kw_only=True)
class Batch:
    """One decision about many items.

    Attributes:
        action: its name, by which it is begun, looked at and undone.
        items: those that the view showed when their number was said; let go at the end.
        whole: how many they are.
        seen: when that was; what was answered later was not seen.
        tried: how many of them are done with.
        changed: of how many the review is another one now.
        trouble: what it ended with, in a sentence; None where nothing went wrong.
    """

    run: Run
    decision: Decision
    items: Sequence[int]
    whole: int
    reviewer: str
    action: str = field(default_factory=new_action)
    seen: datetime = field(default_factory=now)
    is_begun: bool = False
    is_ended: bool = False
    tried: int = 0
    changed: int = 0
    trouble: str | None = None


class Batches:
    """The batches of one gallery; their threads end with them."""

    def __init__(self, store: Store, changed: Callable[[Run, Sequence[ItemId]], None]) -> None:
        """Prepare.

        Args:
            store: where reviews are written.
            changed: called after each step with the items whose reviews are other ones now.
        """
        self._store = store
        self._changed = changed
        self._kept: OrderedDict[str, Batch] = OrderedDict()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()

    def prepare(self, run: Run, decision: Decision, items: Sequence[int], *, reviewer: str) -> Batch:
        """Keep what would be decided, until its person says so."""
        batch = Batch(run=run, decision=decision, items=items, whole=len(items), reviewer=reviewer)
        with self._lock:
            self._kept[batch.action] = batch
            ended = [name for name, kept in self._kept.items() if kept.is_ended]
            asked = [name for name, kept in self._kept.items() if not kept.is_begun]
            for old in [*ended[:-_KEPT_ENDED], *asked[:-_KEPT_ASKED]]:
                del self._kept[old]
        return batch

    def find(self, run: Run, action: str) -> Batch | None:
        """The batch of this name; None where it is forgotten, or of another run."""
        with self._lock:
            batch = self._kept.get(action)
        return batch if batch is not None and batch.run.id == run.id else None

    def begin(self, batch: Batch) -> None:
        """Decide, in a thread of its own; safe to repeat."""
        with self._lock:
            if batch.is_begun:
                return
            batch.is_begun = True
            thread = threading.Thread(target=self._decide, args=[batch], name="persqa-ui-batch", daemon=True)
            self._threads = [old for old in self._threads if old.is_alive()]
            self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        """Stop after the steps that are under way; what was decided stays, and can be undone."""
        self._closing.set()
        for thread in self._threads:
            thread.join()

    def _decide(self, batch: Batch) -> None:
        try:
            while batch.tried < batch.whole and not self._closing.is_set():
                step = [ItemId(int(item)) for item in batch.items[batch.tried : batch.tried + _AT_ONCE]]
                changed = self._store.reviews.change(
                    batch.run.id,
                    step,
                    {"decision": batch.decision},
                    reviewer=batch.reviewer,
                    action=batch.action,
                    seen=batch.seen,
                )
                batch.tried += len(step)
                batch.changed += len(changed)
                self._changed(batch.run, changed)
        except (UserError, Infrastructure) as error:
            batch.trouble = str(error)
        finally:
            # A million numbers take eight megabytes.
            batch.items = ()
            batch.is_ended = True
