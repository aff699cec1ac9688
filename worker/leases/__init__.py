"""Leases: how this worker gets messages, and what it holds."""
