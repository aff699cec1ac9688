"""Addresses of the gallery that show the items behind a bar."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from producer.web.catalog import Facet, Span, View

if TYPE_CHECKING:
    from collections.abc import Mapping


class Addresses:
    """The gallery of a run, at the view of the figures and narrower ones."""

    def __init__(self, run: str, view: View) -> None:
        self._run = run
        self._view = view

    def to(
        self, keep: Mapping[Facet, str] | None = None, span: tuple[Span, float, float] | None = None, search: str = ""
    ) -> str:
        """The address of the view's items that are so.

        Args:
            keep: one value each of these facets.
            span: a quantity, its least value, and the first one that is too large.
            search: words that they have, where the view itself searches for none.
        """
        kept = {facet: (str(value),) for facet, value in (keep or {}).items() if value}
        view = replace(self._view, keep={**self._view.keep, **kept}, search=self._view.search or search)
        if span is not None:
            view = view.spanning(*span)
        query = view.query()
        return f"/runs/{self._run}" + (f"?{query}" if query else "")
