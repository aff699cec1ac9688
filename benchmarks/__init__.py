"""Benchmarks: how near the fleet comes to its engine's own limit, and what a large run costs."""
