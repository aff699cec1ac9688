"""Joining two runs, counting both ways and marking the words that differ: against plain Python, for any input."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.web.comparing.counts import Counts
from producer.web.comparing.differences import MOST_WORDS, differences
from producer.web.comparing.joining import by_key, by_place

_KEYS = st.lists(st.integers(0, 6), max_size=40)


@given(_KEYS, _KEYS)
def test_the_first_of_equal_items_joins_the_first(a: list[int], b: list[int]) -> None:
    # Keys as wide as real ones; 0 is where there is no item.
    wide = [0, *(hash((key, "record")) for key in range(1, 7))]
    found = by_key(np.array([wide[key] for key in a], np.int64), np.array([wide[key] for key in b], np.int64))

    places = defaultdict[int, list[int]](list)
    for place, key in enumerate(b):
        places[key].append(place)
    expected = [(place, places[key].pop(0)) for place, key in enumerate(a) if key and places[key]]
    assert list(zip(found.a.tolist(), found.b.tolist(), strict=True)) == expected
    assert found.only_a == sum(key != 0 for key in a) - len(expected)
    assert found.only_b == sum(key != 0 for key in b) - len(expected)


@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)))
def test_items_at_the_same_place_are_joined(a: set[int], b: set[int]) -> None:
    found = by_place(np.array(sorted(a), np.int64), np.array(sorted(b), np.int64))

    assert found.a.tolist() == found.b.tolist() == sorted(a & b)
    assert (found.only_a, found.only_b) == (len(a - b), len(b - a))


_TEXTS = st.text(st.sampled_from("ab <mam>\n\t\u0301\u202e&"), max_size=60)


@given(_TEXTS, _TEXTS)
def test_no_letter_of_an_answer_is_lost(a: str, b: str) -> None:
    ours, theirs = differences(a, b, tags=("<mam>", "<mam>"))

    assert "".join(piece.text for piece in ours) == a
    assert "".join(piece.text for piece in theirs) == b


@given(_TEXTS)
def test_an_answer_does_not_differ_from_itself(text: str) -> None:
    assert not any(piece.differs for side in differences(text, text) for piece in side)


def test_the_words_that_differ_are_marked() -> None:
    ours, theirs = differences("<mam> wears a red hat.", "<bo> wears  a blue hat.", tags=("<mam>", "<bo>"))

    assert ours == [("<mam> wears a ", False), ("red", True), (" ", False), ("hat.", False)]
    assert [piece.text for piece in theirs if piece.differs] == ["blue"]


@pytest.mark.parametrize("text", ["word " * (MOST_WORDS + 1), "x" * 1_000_000])
def test_a_long_answer_is_shown_without_marks(text: str) -> None:
    ours, theirs = differences(text, "short")

    assert ours == [(text, False)]
    assert theirs == [("short", False)]


def test_an_answer_differs_from_none() -> None:
    assert differences("<mam> is here.", "") == ([("<mam> is here.", True)], [])


def test_a_chance_is_only_told_of_enough_items() -> None:
    assert Counts(only_a=5).chance == "too few to tell"
    assert Counts(only_a=80, only_b=120).chance == "about 1 of 180"
