"""Comparing two runs: their items joined by record and question, counted both ways, and side by side."""

from __future__ import annotations

from producer.web.comparing.comparison import Comparison, Comparisons
from producer.web.comparing.joining import Joined

__all__ = ["Comparison", "Comparisons", "Joined"]
