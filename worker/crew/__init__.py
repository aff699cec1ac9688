"""Crew: one process that starts the workers of a machine, one for each GPU or group, and keeps them alive."""
