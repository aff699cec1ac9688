"""Texts that are looked for in a run, beside real databases, held to what Python alone finds."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from persqa.items import Item, ItemId
from persqa.pairs import Choice
from persqa.results import Outcome
from persqa.runs import Run, parse_options
from persqa.store import Store
from producer.web.catalog import Catalog, Catalogs, Facet, View
from tests.support.builders import a_stored_run, an_item, an_outcome
from tests.support.catalogs import review, settled, small_parts
from tests.support.wait import wait_until


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    small_parts(monkeypatch)


TEXTS = [
    ("<mam> wears a RED coat.", "a.png"),
    ("100% sure, an under_score and a bang!", "b c.png"),
    ('She says "no" \\ yes', 'd"e.png'),
    ("CAFÉ on the Straße", "é/Ünder.png"),
    ("红色的外套", "图片.png"),
    ("nothing\nof it", "a, b.png"),
]


WANTED = ["red", "RED COAT", "100%", "r_s", "!", '"', "\\", "café", "É", "Straße", "色", "片.p", "a, b", ", ", "B C"]
BY_NUMBER = ["number 77", "rec-14", "i3", "10000000009"]
NOWHERE = ["nowhere", "[", '", "', "u00e9", "i3.png,"]


def a_run_of_texts(store: Store) -> tuple[Run, list[Item]]:
    options = parse_options(id_column="name")
    run = store.runs.create("r", options=options, pool_digest="p", fingerprint="f", base="/", item_count=150)
    batch: list[Item] = []
    for index in range(150):
        images = TEXTS[index % len(TEXTS)][1], f"i{index}.png"
        item = an_item(run.id, index, images=images, question=f"Is <mam> number {index}?")
        batch.append(replace(item, record=json.dumps({"name": f"Rec-{index}"})))
    store.ledger.add(batch, [])
    return run, batch


def answered(batch: list[Item]) -> list[Outcome]:
    return [an_outcome(item, answer=TEXTS[item.position % len(TEXTS)][0]) for item in batch[:-6]]


def found(catalog: Catalog, text: str) -> list[int]:
    """What a text finds when everything was looked through."""
    view = View(search=text)
    catalog.chosen(view)
    while catalog.searches.step():
        assert catalog.searched(view)[0] <= catalog.searched(view)[1]
    assert catalog.searched(view)[0] == catalog.loaded
    return catalog.chosen(view).tolist()


def saying(text: str, run: Run, store: Store) -> list[int]:
    """The items that say it, by Python alone."""
    ids = [ItemId(row.item_id) for row in store.queries.pairs(run)]
    images = {item.id: item.images for item in store.ledger.chosen(ids)}
    return [
        row.item_id
        for row in store.queries.pairs(run)
        if str(row.item_id) == text
        or any(
            text.casefold() in said.casefold()
            for said in (
                row.question,
                row.answer or "",
                row.edited_answer or "",
                row.record_id or "",
                *images[ItemId(row.item_id)],
            )
        )
    ]


def test_texts_are_found_as_they_stand(store: Store) -> None:
    run, batch = a_run_of_texts(store)
    store.results.commit(answered(batch))
    catalog = settled(Catalog(run, store))
    while not catalog.upkeep.is_named:
        catalog.upkeep.name()
    for text in (*WANTED, *BY_NUMBER, *NOWHERE):
        expected = saying(text, run, store)
        assert found(catalog, text) == expected, text
        assert bool(expected) == (text not in NOWHERE), text


def test_texts_are_found_where_they_have_changed_since(store: Store) -> None:
    run, batch = a_run_of_texts(store)
    catalog = settled(Catalog(run, store))
    wanted = ["red", "100%", "café"]
    for text in wanted:
        assert found(catalog, text) == saying(text, run, store)
    store.results.commit(answered(batch))
    review(store, run, [batch[0].id], answer="An 100% edited red one")
    settled(catalog)
    before = {text: found(catalog, text) for text in wanted}
    assert before == {text: saying(text, run, store) for text in wanted}
    store.ledger.reopen(run.id, Choice(items=(batch[0].id, batch[6].id, batch[9].id)))
    settled(catalog)
    for text in wanted:
        assert found(catalog, text) == saying(text, run, store)
        assert set(found(catalog, text)) < set(before[text])


def test_a_page_waits_for_what_is_found_and_not_for_long(store: Store, catalogs: Catalogs) -> None:
    run, batch = a_stored_run(store, 300)
    store.results.commit([an_outcome(item, answer=f"<mam> has {item.position}.") for item in batch])
    catalog = settled(Catalog(run, store))
    # Nobody searches, so that it shows what is there.
    assert catalog.page(View(search="has 299")).total == 0
    assert catalog.searched(View(search="has 299")) == (0, 300)
    catalog = catalogs.of(run)
    wait_until(lambda: catalog.upkeep.is_settled and catalog.upkeep.is_named, describe="it is loaded")
    assert catalog.page(View(search=str(batch[7].id))).items == (batch[7].id,)
    wait_until(lambda: catalog.page(View(search="has 299")).items == (batch[299].id,), describe="it is found")
    facets = {counts.facet: counts for counts in catalog.facets(View(search="has 299"))}
    assert [(one.value, one.items) for one in facets[Facet.STATUS].values] == [("ok", 1)]
