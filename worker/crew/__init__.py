"""The crew: all workers of one machine, one for each GPU or group of GPUs, started and kept alive by one process."""
