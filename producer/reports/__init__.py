"""Reports: what a run comes to, for people: on a terminal, as a page, and as the card of a data set."""

from __future__ import annotations

from producer.reports.beside import describing
from producer.reports.card import Chosen, Data, card
from producer.reports.drawings import drawings
from producer.reports.report import Report, origin, report_of

__all__ = ["Chosen", "Data", "Report", "card", "describing", "drawings", "origin", "report_of"]
