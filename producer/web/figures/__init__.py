"""Figures of a run: what a view shows, counted and drawn."""

from __future__ import annotations
