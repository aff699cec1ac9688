"""The catalog: a run in memory, as numpy columns. No page counts or sorts in SQL; it asks for rows by their ids."""

from __future__ import annotations

from producer.web.catalog.catalog import Catalog, Page
from producer.web.catalog.catalogs import Catalogs
from producer.web.catalog.facet import Facet, FacetCounts, ValueCount
from producer.web.catalog.span import Span
from producer.web.catalog.view import Order, View

__all__ = ["Catalog", "Catalogs", "Facet", "FacetCounts", "Order", "Page", "Span", "ValueCount", "View"]
