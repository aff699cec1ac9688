"""Views: what an address says, and how it is said."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persqa.errors import SettingsError
from producer.web.catalog import Facet, Order, View
from producer.web.catalog.facet import WORDS


def values_of(facet: Facet) -> st.SearchStrategy[str]:
    words = WORDS.get(facet)
    return st.text(min_size=1, max_size=20) if words is None else st.sampled_from(words)


choices = st.dictionaries(st.sampled_from(Facet), st.none(), max_size=4).flatmap(
    lambda facets: st.fixed_dictionaries(
        {facet: st.lists(values_of(facet), max_size=3).map(tuple) for facet in facets},
    )
)
views = st.builds(
    View, keep=choices, leave_out=choices, search=st.text(max_size=20), order=st.sampled_from(list(Order))
)


@settings(max_examples=50)
@given(views)
def test_an_address_says_all_of_a_view(view: View) -> None:
    address = view.query()
    again = View.parse(parse_qsl(address, keep_blank_values=True))
    assert again == view
    assert hash(again) == hash(view)
    assert again.query() == address
    assert (again.keep, again.leave_out, again.search, again.order) == (
        view.keep,
        view.leave_out,
        view.search,
        view.order,
    )
    assert View.parse(reversed(parse_qsl(address, keep_blank_values=True))) == view, "the order of names is no matter"


@settings(max_examples=50)
@given(views, st.sampled_from(list(Facet)), st.data(), st.booleans())
def test_a_value_is_toggled_and_toggled_back(view: View, facet: Facet, data: st.DataObject, leave_out: bool) -> None:
    value = data.draw(values_of(facet))
    clear = replace(view, keep=view.without(facet).keep, leave_out=view.without(facet).leave_out)
    assert facet not in clear.keep
    assert facet not in clear.leave_out
    once = clear.toggled(facet, value, leave_out=leave_out)
    assert (once.leave_out if leave_out else once.keep)[facet] == (value,)
    assert once.toggled(facet, value, leave_out=leave_out) == clear
    other = once.toggled(facet, value, leave_out=not leave_out)
    assert (other.keep if leave_out else other.leave_out)[facet] == (value,)
    assert facet not in (other.leave_out if leave_out else other.keep), "nobody means both"


def test_an_address_is_short_and_says_more_where_asked() -> None:
    assert View().query() == ""
    assert View().is_whole
    assert View(order=Order.NEWEST).is_whole
    view = View.parse([("q", " blue "), ("not-kind", "late_tag"), ("status", "ok"), ("order", "newest"), ("at", "7")])
    assert not view.is_whole
    assert view.query() == "status=ok&not-kind=late_tag&q=blue&order=newest"
    assert view.query(at=12, search="", order=Order.INPUT, size=None) == "status=ok&not-kind=late_tag&at=12"
    assert View(keep={Facet.TAG: ("<a&b>",)}).query() == "tag=%3Ca%26b%3E"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("stauts", "ok", r"no filter 'stauts'; did you mean status\?"),
        ("status", "fine", "no status 'fine'; choose pending, ok"),
        ("not-kind", "late", r"no kind 'late'; did you mean late_tag\?"),
        ("order", "old", "no order 'old'"),
        ("topic", "", "the filter topic is empty"),
    ],
)
def test_what_is_unknown_is_told(name: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        View.parse([(name, value)])


def test_an_address_that_says_too_much_is_refused() -> None:
    with pytest.raises(SettingsError, match="says order twice"):
        View.parse([("order", "newest"), ("order", "longest")])
    with pytest.raises(SettingsError, match="more than 100 values"):
        View.parse([("topic", str(number)) for number in range(101)])
    with pytest.raises(SettingsError, match="longer than 1000 characters"):
        View.parse([("worker", 1001 * "w")])
    with pytest.raises(SettingsError, match="200 characters are enough"):
        View.parse([("q", 201 * "w")])
