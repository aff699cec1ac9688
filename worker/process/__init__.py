"""Process: the threads, name, health, GPUs and exit codes of a worker process."""
