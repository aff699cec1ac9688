"""Trials: what one item may do to its worker and engine, and what becomes of it then."""
