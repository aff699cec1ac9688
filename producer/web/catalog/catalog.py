"""Catalog: one run in memory; what facets, orders, pages and figures are worked out from."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from persqa.items import MAX_ITEMS, ItemId
from producer.web.catalog.choosing import Choosing
from producer.web.catalog.columns import BITS, Columns, index_of
from producer.web.catalog.facet import NONE, Facet
from producer.web.catalog.ordering import Ordered
from producer.web.catalog.record_ids import RecordIds
from producer.web.catalog.searches import Searches
from producer.web.catalog.upkeep import MOST_ITEMS, Upkeep

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import numpy.typing as npt

    from persqa.runs import Run
    from persqa.store import Store
    from producer.web.catalog.columns import Mask
    from producer.web.catalog.facet import FacetCounts
    from producer.web.catalog.view import View

#: Orders that are kept until something changes; each takes 16 bytes an item.
_ORDERED: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a view.

    Attributes:
        items: in the view's order.
        place: how many of the view's items come before the first one.
        total: how many items the view has.
        previous: the first item of the page before; None on the first page.
        next: the first item of the page behind; None on the last page.
    """

    items: tuple[ItemId, ...]
    place: int
    total: int
    previous: ItemId | None
    next: ItemId | None


class Catalog:
    """One run in memory.

    Whatever is asked is answered as of one moment: a lock is held while numbers are worked out, and while rows that
    were read are put into the columns, which is short. What is worked out for a view is kept until something changes.
    """

    def __init__(self, run: Run, store: Store, *, wake: Callable[[], None] = lambda: None) -> None:
        """Prepare, without reading.

        Args:
            run: the run.
            store: where its rows are.
            wake: called when a text is to be searched for.
        """
        self.run = run
        #: When somebody last asked for something, on the monotonic clock.
        self.looked_at = time.monotonic()
        #: What keeps the database from being read, in a sentence; None where nothing does.
        self.trouble: str | None = None
        self._lock = threading.RLock()
        # A run of 100 million items gets no memory before it has proved to fit.
        self._columns = Columns(run.id * MAX_ITEMS, expected=min(run.items, MOST_ITEMS))
        ids = RecordIds()
        self._choosing = Choosing(self._columns)
        self._ordered: OrderedDict[View, tuple[Mask, Ordered]] = OrderedDict()
        #: What looks for texts.
        self.searches = Searches(run, self._columns, ids, rows=store.text_search, lock=self._lock, wake=wake)
        #: What reads the rows.
        self.upkeep = Upkeep(
            run, store.catalog_rows, self._columns, ids, lock=self._lock, changed=self.searches.changed
        )

    @property
    def loaded(self) -> int:
        """How many items are in memory."""
        return self._columns.items

    @property
    def whole(self) -> int:
        """How many items the run has, or will have once it is submitted."""
        return max(self.upkeep.whole, self._columns.items)

    @property
    def is_complete(self) -> bool:
        """Whether all that the database has of the run was read once; from then on it is kept up to date."""
        return self.upkeep.is_loaded

    @property
    def beyond(self) -> str | None:
        """A sentence about what a run has beyond the bound of memory; None where everything has room."""
        if self.whole <= MOST_ITEMS:
            return None
        kept = f"the gallery shows the first {MOST_ITEMS:,} of {self.whole:,} items, as it keeps each in memory"
        return f"{kept}: for the others use `persqa results {self.run.name}`, or SQL"

    def facets(self, view: View) -> list[FacetCounts]:
        """The values of all facets, each counted with the view's other facets applied, and not its own."""
        with self._looking():
            return self._choosing.counts(view, *self.searches.found(view.search))

    def page(
        self,
        view: View,
        *,
        at: ItemId | None = None,
        size: int = 60,
        direction: Literal["forward", "backward"] = "forward",
    ) -> Page:
        """A page of a view; it waits up to 0.8 s for what a search finds.

        Args:
            view: the view.
            at: the first item of the page; if it is no longer in the view, the page begins with what comes behind it.
                By default, the view's first item.
            size: how many items at most.
            direction: `backward` for the page that ends just before `at`, or with the view's last item.

        Returns:
            The page; it is empty only if the view is.
        """
        with self._looking():
            self.searches.wait(view.search)
            ordered, index = self._order(view), self._index(at)
            found = ordered.following(index, size) if direction == "forward" else ordered.preceding(index, size)
            if not found:
                found = ordered.preceding(None, size) if direction == "forward" else ordered.following(None, size)
            place = ordered.rank(found[0]) if found else 0
            before = ordered.preceding(found[0], size) if place else []
            behind = ordered.following(found[-1], 1, inclusive=False) if place + len(found) < len(ordered) else []
            return Page(
                items=tuple(map(self._item, found)),
                place=place,
                total=len(ordered),
                previous=self._item(before[0]) if before else None,
                next=self._item(behind[0]) if behind else None,
            )

    def last_page(self, view: View, size: int = 60) -> ItemId | None:
        """The first item of the last page, where pages are counted from the view's beginning; None of an empty view."""
        with self._looking():
            total = len(self._order(view))
            return self.at_place(view, max(total - 1, 0) // size * size)

    def at_place(self, view: View, place: int) -> ItemId | None:
        """The item at a place of a view, from 0; None beyond its end."""
        with self._looking():
            index = self._order(view).at(place)
            return None if index is None else self._item(index)

    def first_unreviewed(self, view: View, after: ItemId | None = None) -> ItemId | None:
        """The first item of a view with a result, but neither a decision nor another answer; or that behind an item."""
        with self._looking():
            open_ones = (self._columns[Facet.REVIEW.value] & BITS[Facet.REVIEW][NONE]) != 0
            ended = self._columns[Facet.FORCED.value] != 0
            ordered = Ordered(self._columns, self._mask(view) & open_ones & ended, view.order)
            found = ordered.following(self._index(after), 1, inclusive=False)
            return self._item(found[0]) if found else None

    def neighbours(self, view: View, item: ItemId) -> tuple[ItemId | None, ItemId | None]:
        """The items of a view that come just before and just behind an item, whether or not the view has that."""
        with self._looking():
            if (index := self._index(item)) is None:
                return None, None
            ordered = self._order(view)
            before, behind = ordered.preceding(index, 1), ordered.following(index, 1, inclusive=False)
            return (
                self._item(before[0]) if before else None,
                self._item(behind[0]) if behind else None,
            )

    def rank(self, view: View, item: ItemId) -> int:
        """How many items of a view come before an item, whether or not the view has that."""
        with self._looking():
            index = self._index(item)
            return 0 if index is None else self._order(view).rank(index)

    def chosen(self, view: View) -> npt.NDArray[np.int64]:
        """The ids of all items that a view shows, in the input's order; `searched` says whether its search is done."""
        with self._looking():
            return np.flatnonzero(self._mask(view)) + self._columns.base

    def searched(self, view: View) -> tuple[int, int]:
        """How far a view's search has looked, and how far there is to look; both the same where it is done."""
        with self._looking():
            return self.searches.place(view.search)

    def columns(self, *names: str) -> dict[str, npt.NDArray[Any]]:
        """Columns of all items in the input's order, as of one moment: `id`, the facets' and those of `column`."""
        with self._looking():
            present = np.flatnonzero(self._columns.present)
            found = {
                name: present + self._columns.base if name == "id" else self._columns[name][present] for name in names
            }
        for array in found.values():
            array.flags.writeable = False
        return found

    def column(self, name: str) -> npt.NDArray[Any]:
        """One column of all items in the input's order, as it is now; it cannot be written.

        A facet's has codes, which `names` explains; those of KIND and REVIEW are sums of powers of two. Others:

        - `id`;
        - `answer_length`, in characters, -1 without an answer;
        - `answer_key`, the same for answers that differ only in case and white space, 0 without an answer;
        - `image_seconds` and `engine_seconds`, NaN without;
        - `finished`, in seconds since 1970 in UTC, NaN for pending items.
        """
        return self.columns(name)[name]

    def names(self, facet: Facet) -> tuple[str, ...]:
        """The values of a facet by their codes, empty where a code has none: 0 is no value, 1 is any other value.

        Those of KIND and REVIEW are by their bits, the lowest first.
        """
        with self._lock:
            return tuple(BITS[facet]) if facet in BITS else self._columns.names[facet].texts

    def wait_for_lookers(self) -> None:
        """Wait until whoever looks at the run just now has what was asked for."""
        with self._lock:
            pass

    @contextmanager
    def _looking(self) -> Generator[None]:
        self.looked_at = time.monotonic()
        with self._lock:
            yield

    def _mask(self, view: View) -> Mask:
        return self._choosing.mask(view, *self.searches.found(view.search))

    def _order(self, view: View) -> Ordered:
        mask = self._mask(view)
        kept = self._ordered.get(view)
        # The mask is another one as soon as anything has changed.
        if kept is None or kept[0] is not mask:
            kept = mask, Ordered(self._columns, mask, view.order)
            self._ordered[view] = kept
        self._ordered.move_to_end(view)
        while len(self._ordered) > _ORDERED:
            self._ordered.popitem(last=False)
        return kept[1]

    def _index(self, item: ItemId | None) -> int | None:
        """The index of an item that is there; None for any other."""
        if item is None or item // MAX_ITEMS != self.run.id or (index := index_of(item)) >= len(self._columns):
            return None
        return index if self._columns[Facet.STATUS.value][index] else None

    def _item(self, index: int) -> ItemId:
        return ItemId(self._columns.base + index)
