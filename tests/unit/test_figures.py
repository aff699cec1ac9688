"""Scales, tallies and charts: against plain counting, for any values."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persqa.errors import SettingsError
from persqa.policies import Policy, Rung
from producer.charts import Bars, Columns, shares_to
from producer.scales import even_edges, growing_edges, plain, round_step, seconds, ticks, time_step
from producer.web.catalog import Facet, Order, Span, View
from producer.web.figures.addresses import JUDGED, Addresses
from producer.web.figures.keeping import keeping, said
from producer.web.figures.sizes import lengths, throughput, times
from producer.web.figures.tallies import (
    BROKEN,
    FIRST,
    FORCED,
    REPAIRED,
    Kept,
    bits,
    frequent,
    kept_by,
    ordered,
    over_time,
    quantile,
    spread,
    ways,
)

_POSITIVE = st.floats(1e-6, 1e12)
_ADDRESSES = Addresses("r", View())
_STATUSES = ("", "", "pending", "ok", "noncompliant", "invalid", "dead")
_RUNGS = ("", "", "free", "reseed", "prefill")


@given(_POSITIVE)
def test_an_axis_ends_at_the_first_round_number_that_holds_all(most: float) -> None:
    found = ticks(most)

    assert found[0] == 0
    assert found[-2] < most * (1 + 1e-9)
    assert found[-1] >= most * (1 - 1e-9)
    assert 2 <= len(found) <= 6
    assert found[1] == round_step(found[1])


@given(_POSITIVE, st.floats(1, 1e6), st.integers(2, 40))
def test_even_bins_hold_everything_and_are_as_wide_as_each_other(least: float, times_as_much: float, bins: int) -> None:
    most = least * times_as_much
    edges = even_edges(least, most, bins)

    assert edges[0] <= least * (1 + 1e-9)
    assert edges[-1] > most
    assert len(edges) <= bins + 3
    widths = [high - low for low, high in pairwise(edges)]
    assert max(widths) == pytest.approx(min(widths), rel=1e-3)


@given(st.floats(1e-3, 1e5), st.floats(1, 1e4))
def test_growing_bins_hold_everything(least: float, times_as_much: float) -> None:
    edges = growing_edges(least, least * times_as_much)

    assert edges[0] <= least
    assert edges[-1] > least * times_as_much
    assert all(2 <= high / low <= 2.5 + 1e-9 for low, high in pairwise(edges))


@given(st.floats(0, 1e8))
def test_a_step_of_time_is_one_that_people_count_in(least: float) -> None:
    step = time_step(least)

    assert step >= least
    assert 86_400 % step == 0 or step % 86_400 == 0


@pytest.mark.parametrize(
    ("value", "said_so"),
    [(0.0004, "0.4 ms"), (0.02, "20 ms"), (1.0, "1 s"), (1.5, "1.5 s"), (90.0, "90 s"), (300.0, "5 min")],
)
def test_a_duration_is_written_for_people(value: float, said_so: str) -> None:
    assert seconds(value) == said_so


@pytest.mark.parametrize(("value", "said_so"), [(0.0, "0"), (1500.0, "1,500"), (0.25, "0.25"), (2.5, "2.5")])
def test_a_number_has_no_more_digits_than_it_needs(value: float, said_so: str) -> None:
    assert plain(value) == said_so


@given(st.lists(st.tuples(st.integers(2, 5), st.integers(2, 6), st.sampled_from((0, 2, 3, 4))), max_size=60))
def test_each_answer_is_counted_once_and_as_what_it_is(rows: list[tuple[int, int, int]]) -> None:
    groups, statuses, rungs = (np.array([row[place] for row in rows], np.uint8) for place in range(3))
    found = kept_by(groups, ways(statuses, rungs, _STATUSES, _RUNGS))

    meant = {Rung.FREE: FIRST, Rung.RESEED: REPAIRED, Rung.PREFILL: FORCED}
    naive: Counter[tuple[int, int]] = Counter()
    for group, status, rung in rows:
        name = _STATUSES[status]
        if name == "noncompliant":
            naive[group, BROKEN] += 1
        elif name == "ok" and rung:
            naive[group, meant[Rung(_RUNGS[rung])]] += 1
    expected = {group: Kept(*(naive[group, way] for way in range(1, 5))) for group in {group for group, _ in naive}}
    assert found == expected


@given(st.lists(st.integers(0, 2**19 - 1), max_size=80))
def test_each_bit_is_counted(values: list[int]) -> None:
    expected = [sum(value >> bit & 1 for value in values) for bit in range(max(values, default=0).bit_length())]
    assert bits(np.array(values, np.uint32)) == expected


@given(st.lists(st.one_of(st.just(math.nan), st.floats(0, 99, width=32)), max_size=60))
def test_a_spread_counts_every_value_in_its_bin(values: list[float]) -> None:
    known = sorted(value for value in values if not math.isnan(value))
    found = spread(ordered(np.array(values, np.float32)), [0, 1, 5, 50, 100])

    assert list(found.counts) == [
        sum(low <= value < high for value in known) for low, high in ((0, 1), (1, 5), (5, 50), (50, 100))
    ]
    assert found.median == (known[len(known) // 2] if known else 0)


@given(st.lists(st.floats(1.6e9, 1.6e9 + 5000), max_size=50), st.sampled_from((1, 60, 300)))
def test_every_moment_is_in_its_step(moments: list[float], step: int) -> None:
    begin, counts = over_time(np.array([*moments, math.nan]), step)

    assert sum(counts) == len(moments)
    for place, number in enumerate(counts):
        low = begin + place * step
        assert number == sum(low <= moment < low + step for moment in moments)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6), st.integers(1, 4)), max_size=120))
def test_the_most_frequent_answers_are_the_most_frequent_ones(rows: list[tuple[int, int, int]]) -> None:
    # Keys as wide as real ones; 0 is no answer.
    spread_out = np.array([hash((row[1], "answer")) if row[1] else 0 for row in rows], np.int64)
    pictures = np.array([hash((row[2], "picture")) for row in rows], np.int64)
    groups = np.array([row[0] for row in rows], np.uint16)
    found = frequent(groups, spread_out, pictures, each=2, groups=3)

    counts = Counter((group, answer) for group, answer, _ in rows if answer)
    for group in {one.group for one in found}:
        numbers = sorted((number for (of, _), number in counts.items() if of == group and number > 1), reverse=True)
        assert [one.items for one in found if one.group == group] == numbers[:2]
    for one in found:
        group, answer, _ = rows[one.place]
        assert (one.group, one.items) == (group, counts[group, answer])
        assert one.pictures == len({shows for of, said_so, shows in rows if (of, said_so) == (group, answer)})


def test_of_many_questions_the_largest_are_told_of() -> None:
    groups = np.array([1] * 5 + [2] * 9 + [3] * 7, np.uint16)
    found = frequent(groups, np.full(21, 2**40, np.int64), np.arange(21) << 20, each=3, groups=2)

    assert [(one.group, one.items, one.pictures) for one in found] == [(2, 9, 9), (3, 7, 7)]


@given(st.lists(st.integers(-1, 3000), max_size=60))
def test_every_answer_is_in_a_bin_of_lengths_that_leads_to_it(values: list[int]) -> None:
    figure = lengths(np.array(values, np.int32), _ADDRESSES)

    counted = 0
    for row in figure.table.rows:
        low, high = _span(row[1].address, Span.LENGTH)
        number = int(row[1].text.replace(",", ""))
        assert number == sum(low <= value < high for value in values)
        counted += number
    assert counted == sum(value >= 0 for value in values)


@given(st.lists(st.floats(0, 1e4, width=32), max_size=40))
def test_every_time_is_in_a_bin_that_leads_to_it(values: list[float]) -> None:
    column = np.array([*values, math.nan], np.float32)
    figure = times("engine-times", "", Span.ENGINE_SECONDS, column, _ADDRESSES)

    assert sum(int(row[1].text.replace(",", "")) for row in figure.table.rows) == len(values)
    for row in figure.table.rows:
        low, high = _span(row[1].address, Span.ENGINE_SECONDS)
        assert int(row[1].text.replace(",", "")) == int(((column >= low) & (column < high)).sum())


@given(st.lists(st.floats(1.6e9, 1.6e9 + 1e7), max_size=40))
def test_every_column_of_throughput_leads_to_its_items(values: list[float]) -> None:
    figure = throughput(np.array(values), _ADDRESSES)

    assert isinstance(figure.drawing, Columns)
    assert len(figure.drawing.columns) == sum(bool(row[1].address) for row in figure.table.rows)
    assert all(0 < column.height <= 100 + 1e-9 for column in figure.drawing.columns)
    for row in figure.table.rows:
        number = int(row[1].text.replace(",", ""))
        if number:
            low, high = _span(row[1].address, Span.FINISHED)
            assert number == sum(low <= value < high for value in values)


@given(st.lists(st.tuples(*[st.integers(0, 50)] * 4).filter(any), min_size=1, max_size=30), st.sampled_from(Policy))
def test_bars_end_within_the_drawing_and_add_up(rows: list[tuple[int, int, int, int]], policy: Policy) -> None:
    counts = {f"topic {place}": Kept(*row) for place, row in enumerate(rows)}
    figure = keeping("topics", "Topics", Facet.TOPIC, counts, policy, _ADDRESSES)

    assert len(figure.table.rows) == len(rows)
    assert isinstance(figure.drawing, Bars)
    for bar in figure.drawing.bars:
        assert all(part.width > 0 for part in bar.parts)
        assert sum(part.width for part in bar.parts) <= 100 + 1e-6
        assert bar.between is not None
        low, high = bar.between
        assert 0 <= low <= high <= 100


def test_what_was_written_for_the_model_is_not_said_to_be_its_own() -> None:
    kept = Kept(first=0, repaired=0, forced=90, broken=10)

    assert "at the first try" not in said(kept, Policy.PREFILL)
    assert "tag written for the model" in said(kept, Policy.PREFILL)
    assert said(Kept(60, 10, 20, 10), Policy.REPAIR) == (
        "Of 100 answers, 60.0 % (50.2 to 69.1 %) keep the rule at the first try, 10.0 % when asked again, "
        "20.0 % with the tag written for the model; 10.0 % break the rule."
    )


@given(st.floats(1e-6, 1))
def test_an_axis_of_shares_holds_the_largest(most: float) -> None:
    end, marks = shares_to(most)

    assert most <= end * (1 + 1e-9)
    assert end <= 1
    assert (marks[0].place, marks[-1].place) == (0, 100)


def test_an_address_keeps_what_the_view_says() -> None:
    view = View(keep={Facet.MODEL: ("m",)}, search="red", order=Order.NEWEST)
    address = Addresses("r", view).to({Facet.TOPIC: ("a&b",)}, span=(Span.LENGTH, 40, math.inf))

    assert address == "/runs/r?topic=a%26b&model=m&length=40-&q=red&order=newest"


def test_an_address_stays_within_the_view() -> None:
    view = View(keep={Facet.STATUS: ("ok",), Facet.KIND: ("empty",)})
    addresses = Addresses("r", view)

    assert addresses.to({Facet.STATUS: JUDGED}) == "/runs/r?status=ok&kind=empty"
    assert addresses.to({Facet.KIND: ("empty",)}) == "/runs/r?status=ok&kind=empty"
    assert addresses.to({Facet.KIND: ("late_tag",)}) == ""


def test_half_of_the_values_are_below_the_median() -> None:
    assert quantile(np.array([1.0, 2.0, 3.0, 4.0]), 0.5) == 3
    assert quantile(np.array([]), 0.5) == 0


def _span(address: str, span: Span) -> tuple[float, float]:
    view = View.parse([tuple(pair.split("=", 1)) for pair in address.partition("?")[2].split("&")])  # pyrefly: ignore[bad-argument-type]
    return view.spans[span]


@given(st.sampled_from(Span), st.floats(0, 1e12), st.floats(1e-3, 1e6))
def test_a_part_of_a_quantity_is_read_as_it_is_written(span: Span, low: float, width: float) -> None:
    written = span.written(low, low + width)
    found = span.parse(written)

    assert found == (pytest.approx(low, abs=1e-9), pytest.approx(low + width, abs=1e-9))
    assert span.parse(span.written(low, math.inf))[1] == math.inf
    assert View.parse([(span.value, written)]).without_span(span).is_whole


@pytest.mark.parametrize(
    "written", ["", "40", "60-40", "40-40", "-5", "a-b", "1e3-2e3", "40-60-80", "٤-٥", "1" * 20 + "-"]
)
def test_what_is_no_part_of_a_quantity_is_refused(written: str) -> None:
    with pytest.raises(SettingsError, match="as in 40-60"):
        Span.LENGTH.parse(written)


def test_a_part_of_a_quantity_is_said_in_words() -> None:
    assert Span.LENGTH.said(40, math.inf) == "40 or more characters"
    assert Span.ENGINE_SECONDS.said(0.5, 2) == "0.5 to below 2 s"
    assert Span.FINISHED.said(0, 60) == "1970-01-01 00:00:00 to 00:01:00 UTC"
