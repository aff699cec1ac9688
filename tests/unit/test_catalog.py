"""What a catalog works out from columns, held to a plain model over lists."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persqa.items import MAX_ITEMS, ItemId
from persqa.pairs import PENDING
from persqa.results import Status
from persqa.runs import Run
from persqa.store import Store
from persqa.store.catalog_rows import CatalogRow
from producer.web.catalog import Catalog, Facet, Order, View
from producer.web.catalog.choosing import MOST_SHOWN
from producer.web.catalog.facet import WORDS
from producer.web.catalog.names import NO_VALUE, OTHER, Names
from producer.web.catalog.record_ids import RecordIds
from tests.support.builders import a_run
from tests.support.catalogs import BASE, Model, a_row

RUN = a_run()
KINDS = ("empty", "late_tag", "truncated")


@st.composite
def rows(draw: st.DrawFn) -> list[CatalogRow]:
    """Items with holes between them, and many that are equal in something."""
    indexes = sorted(draw(st.sets(st.integers(0, 60), max_size=40)))
    quarters = st.none() | st.integers(0, 8).map(lambda number: number / 4)
    given_reviews = st.booleans()

    def row(index: int) -> CatalogRow:
        reviewed = draw(given_reviews)
        return a_row(
            index,
            draw(st.none() | st.sampled_from(list(Status))),
            reason=draw(st.sampled_from([None, "not_found", "late_tag"])),
            topic=draw(st.sampled_from(["", "attire", "pose"])),
            question=draw(st.sampled_from(["", "Is it {tag}?", "Who?"])),
            rung=draw(st.sampled_from([None, "free", "prefill"])),
            forced=draw(st.booleans()),
            worker=draw(st.sampled_from([None, "a", "b"])),
            answer_length=draw(st.none() | st.integers(0, 5)),
            image_seconds=draw(quarters),
            engine_seconds=draw(quarters),
            finished=float(draw(st.integers(0, 5))),
            decision=draw(st.sampled_from([None, "accepted", "rejected"])) if reviewed else None,
            edited=reviewed and draw(st.booleans()),
            starred=draw(st.booleans()) if reviewed else None,
            reviewed=reviewed,
        )

    return [row(index) for index in indexes]


kinds = st.lists(st.tuples(st.integers(0, 60).map(lambda index: BASE + index), st.sampled_from(KINDS)), max_size=20)
FACETS = {
    Facet.STATUS: (PENDING, "ok", "dead"),
    Facet.KIND: KINDS,
    Facet.TOPIC: ("attire", "pose", "nothing of it"),
    Facet.FORCED: ("yes", "no"),
    Facet.REVIEW: WORDS[Facet.REVIEW],
    Facet.WORKER: ("a", "b"),
}
choices = st.fixed_dictionaries(
    {}, optional={facet: st.sets(st.sampled_from(words), min_size=1).map(tuple) for facet, words in FACETS.items()}
)
views = st.builds(
    View,
    keep=choices,
    leave_out=choices,
    order=st.sampled_from(list(Order)),
)


def catalog_of(rows: list[CatalogRow], kinds: list[tuple[int, str]], run: Run = RUN) -> Catalog:
    catalog = Catalog(run, Store.look("sqlite:///none.db"))
    if rows:
        catalog.upkeep.columns.put(catalog.upkeep.columns.batch(rows, kinds))
    return catalog


@settings(max_examples=60)
@given(rows(), kinds, views)
def test_facets_are_counted_as_by_hand(rows: list[CatalogRow], kinds: list[tuple[int, str]], view: View) -> None:
    model = Model(rows, kinds)
    counted = catalog_of(rows, kinds).facets(view)
    assert [counts.facet for counts in counted] == list(Facet)
    for counts in counted:
        facet = counts.facet
        expected = Counter(
            value for row in rows if model.has(view, row, but=facet) for value in model.values(row, facet)
        )
        kept, left_out = view.keep.get(facet, ()), view.leave_out.get(facet, ())
        found = {one.value: one.items for one in counts.values}
        assert found == dict.fromkeys((*kept, *left_out), 0) | dict(expected)
        assert [one.items for one in counts.values] == sorted(found.values(), reverse=True)
        assert {one.value for one in counts.values if one.is_kept} == set(kept)
        assert {one.value for one in counts.values if one.is_left_out} == set(left_out)
        assert counts.others == 0


@settings(max_examples=60)
@given(rows(), kinds, views, st.integers(1, 9))
def test_pages_go_through_a_view_there_and_back(
    rows: list[CatalogRow], kinds: list[tuple[int, str]], view: View, size: int
) -> None:
    catalog, expected = catalog_of(rows, kinds), Model(rows, kinds).items(view)
    assert sorted(expected) == catalog.chosen(view).tolist()
    page = catalog.page(view, size=size)
    assert page.previous is None
    seen, starts = list(page.items), [page.items[:1]]
    while page.next is not None:
        page = catalog.page(view, at=page.next, size=size)
        assert page.place == len(seen)
        seen += page.items
        starts.append(page.items[:1])
    assert seen == expected
    assert page.total == len(expected)
    assert (catalog.last_page(view, size),) == (page.items[:1] or (None,))
    assert catalog.page(view, size=size, direction="backward").items == tuple(expected[-size:])
    for start in reversed(starts[:-1]):
        assert page.previous is not None
        assert catalog.page(view, at=page.items[0], size=size, direction="backward").items[:1] == (page.previous,)
        page = catalog.page(view, at=page.previous, size=size)
        assert page.items[:1] == start
    assert page.previous is None


@settings(max_examples=60)
@given(rows(), kinds, views, st.integers(0, 70))
def test_every_item_has_a_rank_and_neighbours_also_outside_the_view(
    rows: list[CatalogRow], kinds: list[tuple[int, str]], view: View, place: int
) -> None:
    model, catalog = Model(rows, kinds), catalog_of(rows, kinds)
    expected = model.items(view)
    assert catalog.at_place(view, place) == (expected[place] if place < len(expected) else None)
    for item in map(ItemId, model.rows):
        key = model.key(view.order, item)
        before = [other for other in expected if model.key(view.order, other) < key]
        behind = [other for other in expected if model.key(view.order, other) > key]
        assert catalog.rank(view, item) == len(before)
        assert catalog.neighbours(view, item) == (before[-1] if before else None, behind[0] if behind else None)
        open_ones = [
            other
            for other in behind
            if model.rows[other].status is not None and "none" in model.values(model.rows[other], Facet.REVIEW)
        ]
        assert catalog.first_unreviewed(view, after=item) == (open_ones[0] if open_ones else None)
        # What is no longer in the view begins the page with what comes behind it.
        page = catalog.page(view, at=item, size=5)
        from_here = ([item] if item in expected else []) + behind
        assert page.items == tuple(from_here[:5] or expected[-5:])


@settings(max_examples=60)
@given(rows(), rows(), kinds, kinds, views)
def test_what_is_written_over_leaves_nothing_behind(
    first: list[CatalogRow],
    second: list[CatalogRow],
    kinds: list[tuple[int, str]],
    others: list[tuple[int, str]],
    view: View,
) -> None:
    catalog = catalog_of(first, kinds)
    catalog.page(view)
    if second:
        catalog.upkeep.columns.put(catalog.upkeep.columns.batch(second, others))
    new = {row.item_id: row for row in second}
    merged = [row for _, row in sorted(({row.item_id: row for row in first} | new).items())]
    both = [pair for pair in kinds if pair[0] not in new] + [pair for pair in others if pair[0] in new]
    assert catalog.loaded == len(merged)
    assert list(catalog.page(view, size=100).items) == Model(merged, both).items(view)
    assert catalog.column("id").tolist() == [row.item_id for row in merged]


def test_the_most_frequent_values_are_shown_and_the_others_are_counted() -> None:
    rows = [a_row(index, "ok", worker=f"w{index % 30:02}") for index in range(61)]
    (workers,) = [c for c in catalog_of(rows, []).facets(View()) if c.facet is Facet.WORKER]
    assert len(workers.values) == MOST_SHOWN
    assert [(one.value, one.items) for one in workers.values[:2]] == [("w00", 3), ("w01", 2)]
    assert workers.others == 61 - sum(one.items for one in workers.values)
    view = View(keep={Facet.WORKER: ("w29",)}, leave_out={Facet.WORKER: ("nobody",)})
    (workers,) = [c for c in catalog_of(rows, []).facets(view) if c.facet is Facet.WORKER]
    assert [(one.value, one.items) for one in workers.values[20:]] == [("w29", 2), ("nobody", 0)]
    assert workers.others == 61 - sum(one.items for one in workers.values)


def test_names_are_bounded_and_the_rest_is_told_together() -> None:
    names = Names(["b"], most=3)
    assert names.codes(["b", None, "", "a", "c", "d", "a", "e"]) == [2, NO_VALUE, NO_VALUE, 3, 4, OTHER, 3, OTHER]
    assert names.texts == ("", "", "b", "a", "c")
    assert [names.code(text) for text in ("a", "d", "")] == [3, None, None]
    catalog = catalog_of([], [])
    columns = catalog.upkeep.columns
    columns.names[Facet.TOPIC] = Names(most=1)
    columns.put(columns.batch([a_row(index, "ok", topic=f"t{index}") for index in range(5)], []))
    (topics,) = [c for c in catalog.facets(View()) if c.facet is Facet.TOPIC]
    assert ([(one.value, one.items) for one in topics.values], topics.others) == ([("t0", 1)], 4)
    assert catalog.page(View(keep={Facet.TOPIC: ("t3",)})).total == 0
    assert catalog.page(View(leave_out={Facet.TOPIC: ("t0",)})).total == 4


def test_columns_are_given_as_of_one_moment_and_cannot_be_written() -> None:
    answers = ["<mam> wears  RED.", "<mam> wears red.", "Else", None]
    catalog = catalog_of([a_row(index, "ok", answer=answer) for index, answer in enumerate(answers)], [])
    found = catalog.columns("id", "answer_key", "status", "image_seconds", "finished", "answer_length")
    keys = found["answer_key"].tolist()
    assert keys[0] == keys[1] != keys[2]
    assert keys[3] == 0
    assert {catalog.names(Facet.STATUS)[code] for code in found["status"]} == {"ok"}
    assert catalog.names(Facet.REVIEW) == WORDS[Facet.REVIEW]
    assert np.isnan(found["image_seconds"]).all()
    assert found["answer_length"].tolist() == [-1] * 4
    with pytest.raises(ValueError, match="read-only"):
        found["finished"][0] = 3


def test_items_of_other_runs_and_of_none_are_nobodys() -> None:
    catalog = catalog_of([a_row(1, "ok"), a_row(3, "ok")], [])
    for item in (BASE, BASE + 2, BASE + 9, BASE + MAX_ITEMS + 1, -1):
        assert catalog.neighbours(View(), ItemId(item)) == (None, None)
        assert catalog.rank(View(), ItemId(item)) == 0
        assert catalog.page(View(), at=ItemId(item), size=1).items == (BASE + 1,)


def test_a_run_without_room_is_told_so() -> None:
    catalog = catalog_of([], [], replace(RUN, items=100_000_000))
    said = "shows the first 10,000,000 of 100,000,000 items"
    assert catalog.beyond is not None
    assert said in catalog.beyond
    assert "persqa results a-run" in catalog.beyond
    assert catalog_of([], []).beyond is None


@given(st.lists(st.text("abAB\n", min_size=1, max_size=4), max_size=30), st.text("abAB", min_size=1, max_size=2))
def test_records_are_found_by_their_names(names: list[str], text: str) -> None:
    ids = RecordIds()
    pairs = [(7 * index, name) for index, name in enumerate(names)]
    ids.add(pairs[:10])
    ids.add(pairs[10:])
    expected = [index for index, name in pairs if text.casefold() in name.replace("\n", " ").casefold()]
    assert ids.found(text, after=0) == expected
    assert ids.found(text, after=1) == [index for index in expected if index >= 70]
