"""Process: what a worker is to its machine: threads, signals, health, names and exit codes."""
