"""Addresses of the gallery that show the items behind a bar."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from persqa.results import Status
from producer.web.catalog import Facet, Span, View

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Of items with an answer that was judged.
JUDGED: Final = (Status.OK, Status.NONCOMPLIANT)


class Addresses:
    """The gallery of a run, at the view of the figures and narrower ones."""

    def __init__(self, run: str, view: View) -> None:
        self._run = run
        self._view = view

    def to(
        self,
        keep: Mapping[Facet, Sequence[str]] | None = None,
        span: tuple[Span, float, float] | None = None,
        search: str = "",
    ) -> str:
        """The address of the view's items that are so; empty where no address says which they are.

        Args:
            keep: the values of each of these facets.
            span: a quantity, its least value, and the first one that is too large.
            search: words that they have, where the view itself searches for none.
        """
        kept = dict(self._view.keep)
        for facet, values in (keep or {}).items():
            own = kept.get(facet, values)
            kept[facet] = tuple(str(value) for value in values if value in own)
            # An item may have several kinds: an address cannot ask for one of these and one of those.
            if facet is Facet.KIND and own != tuple(values):
                return ""
        view = replace(self._view, keep=kept, search=self._view.search or search)
        if span is not None:
            view = view.spanning(*span)
        query = view.query()
        return f"/runs/{self._run}" + (f"?{query}" if query else "")
