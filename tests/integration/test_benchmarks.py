"""The short form of the benchmark: it fails on a collapse, and not on a noisy machine."""

from __future__ import annotations

import pytest

from tests.support.collapse import check_no_collapse

pytestmark = pytest.mark.benchmark


@pytest.mark.parametrize("measure", ["overhead", "submit", "submit-memory", "workers", "sizes", "worker-memory"])
def test_nothing_has_become_much_slower_or_larger(measure: str) -> None:
    check_no_collapse(measure)
