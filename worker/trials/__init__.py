"""Trials: items that may kill their worker or engine, and how each item gets its outcome."""
