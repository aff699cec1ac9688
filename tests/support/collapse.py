"""Whether a figure of the benchmark has collapsed: a third under what it has to reach, or as much above."""

from __future__ import annotations

from benchmarks.rows import MEASURES, Form

_A_THIRD_UNDER = 2 / 3


def check_no_collapse(measure: str) -> None:
    """Take the measure in its short form, and look at all that is not in seconds: ratios and memory."""
    for row in MEASURES[measure](Form(short=True)):
        print(f"{row.measure}: {row.value:.4g} {row.unit}")
        if row.unit in ("", "MB"):
            assert row.least is None or row.value >= _A_THIRD_UNDER * row.least, row
            assert row.most is None or row.value <= row.most / _A_THIRD_UNDER, row
