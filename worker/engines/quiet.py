"""Quiet: while it is imported, vLLM logs a little before it reads how much it may log."""

from __future__ import annotations

import logging
import os


def quieten_vllm() -> None:
    """Let it say nothing below an error, unless `VLLM_LOGGING_LEVEL` asks for more; called before its import."""
    logging.getLogger("vllm").setLevel(os.environ.get("VLLM_LOGGING_LEVEL", "ERROR").upper())
