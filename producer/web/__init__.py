"""The gallery: pages of runs, pictures and answers, for people to look at and decide."""

from __future__ import annotations
