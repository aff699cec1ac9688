"""The Redis side: what both programs must agree on, and what the producer needs to put work in and look at it."""
