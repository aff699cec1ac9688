"""The short form of the benchmark with the real engine: it fails on a collapse, and not on a noisy machine."""

from __future__ import annotations

import pytest

from tests.support.collapse import check_no_collapse
from tests.support.one_process import engines_in_one_process

pytestmark = pytest.mark.benchmark


def test_the_worker_keeps_up_with_one_offline_call() -> None:
    # Both sides alike, and each imports vLLM a time less.
    with engines_in_one_process():
        check_no_collapse("engine")


def test_the_front_end_keeps_up_with_an_engine_that_costs_nothing() -> None:
    check_no_collapse("front-end")
