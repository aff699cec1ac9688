"""Leases: what this worker holds of the queue, and how it comes by it."""
