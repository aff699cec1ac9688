"""The short form of the benchmark: it fails on a collapse, and not on a noisy machine."""

from __future__ import annotations

import pytest

from tests.support.collapse import check_no_collapse


@pytest.mark.benchmark
@pytest.mark.parametrize("measure", ["overhead", "submit", "workers", "sizes", "open"])
def test_nothing_has_become_much_slower(measure: str) -> None:
    check_no_collapse(measure)


@pytest.mark.parametrize("measure", ["submit-memory", "worker-memory"])
def test_nothing_has_become_much_larger(measure: str) -> None:
    """What is not about time needs no quiet machine."""
    check_no_collapse(measure)
