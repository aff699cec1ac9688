"""The short form of the gallery's benchmark: it fails where a look grows with what it should not, and not by noise."""

from __future__ import annotations

import pytest

from benchmarks.rows import MEASURES, Form

#: A thirtieth of the items takes a thirtieth of the time, so this is a hundred times of what it takes.
_TIMES = 3


@pytest.mark.benchmark
def test_a_large_run_is_looked_at_while_it_goes_on() -> None:
    for row in MEASURES["gallery"](Form(short=True)):
        print(f"{row.measure}: {row.value:.4g} {row.unit}")
        if row.most is not None:
            assert row.value <= (_TIMES if row.unit == "ms" else 1) * row.most, row
