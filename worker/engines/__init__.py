"""Engines: what answers requests, and what keeps it alive."""
