"""Catalogs beside real databases: what was loaded, what has changed since, and what is looked for."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from persqa.clock import now
from persqa.errors import StoreUnavailable
from persqa.flags import Finding, Flag
from persqa.items import Item, ItemId
from persqa.pairs import Choice
from persqa.policies import Rung
from persqa.reasons import Reason
from persqa.results import Outcome, Result, Status
from persqa.runs import Run, parse_options
from persqa.store import Store
from persqa.store.flags import count_flags, flag_row, insert_flags
from persqa.tags import Tag
from persqa.verdicts import ViolationKind
from producer.web.catalog import Catalog, Catalogs, Facet, Order, View
from producer.web.catalog.columns import BITS
from tests.conftest import Size
from tests.support.builders import a_stored_run, a_violation, an_item, an_outcome
from tests.support.catalogs import review, settled, small_parts
from tests.support.wait import wait_until


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    small_parts(monkeypatch)


def check(catalog: Catalog, store: Store) -> None:
    """Compare all that the catalog has with what the pages of SQL say."""
    names = [facet.value for facet in Facet]
    columns = catalog.columns("id", "answer_length", *names)
    ours = [
        (
            int(columns["id"][place]),
            int(columns["answer_length"][place]),
            *(_said(catalog, f, columns[f.value][place]) for f in Facet),
        )
        for place in range(len(columns["id"]))
    ]
    assert ours == list(_expected(catalog.run, store))


def _said(catalog: Catalog, facet: Facet, code: int) -> str | frozenset[str]:
    if facet in BITS:
        return frozenset(word for word, bit in BITS[facet].items() if code & bit)
    return catalog.names(facet)[code]


def _expected(run: Run, store: Store) -> Iterator[tuple[object, ...]]:
    kinds: dict[int, set[str]] = {}
    for violation in store.queries.violations(run):
        kinds.setdefault(violation.item_id, set()).add(violation.kind)
    for row in store.queries.pairs(run):
        review = {row.review or "", "edited" if row.edited_answer is not None else "", "starred" if row.starred else ""}
        if row.review is None and row.edited_answer is None:
            review.add("none")
        yield (
            row.item_id,
            -1 if row.answer is None else len(row.answer),
            str(row.status),
            frozenset(kinds.get(row.item_id, ())),
            row.reason or "",
            row.topic,
            row.question.replace(row.tag, "{tag}") if row.tag else row.question,
            row.model or "",
            row.rung or "",
            "" if row.forced is None else "yes" if row.forced else "no",
            row.tag,
            row.worker or "",
            frozenset(review - {""}),
            frozenset(map(str, (found.flag for found in row.flags))),
        )


def some_outcome(item: Item, number: int) -> Outcome:
    """One of all sorts."""
    status = list(Status)[number % 4]
    reason = Reason.NOT_FOUND if status in (Status.INVALID, Status.DEAD) else None
    rung = list(Rung)[number % 3]
    outcome = an_outcome(item, status, answer=None if reason else f"<mam> {number * 'x'}", rung=rung, reason=reason)
    if number % 7 == 0:
        outcome = replace(outcome, findings=(Finding(list(Flag)[number % len(Flag)], 0.5),))
    if number % 5:
        return outcome
    return replace(outcome, violations=(a_violation(item, Rung.FREE, ViolationKind.LATE_TAG),))


def test_a_run_is_loaded_and_followed_through_all_that_befalls_it(store: Store) -> None:
    run, batch = a_stored_run(store, 230)
    store.results.commit([some_outcome(item, number) for number, item in enumerate(batch) if number % 3])
    review(store, run, [batch[4].id, batch[5].id], decision="accepted")
    catalog = settled(Catalog(run, store))
    check(catalog, store)
    assert (catalog.loaded, catalog.whole, catalog.is_complete) == (230, 230, True)
    # Answers, and reviews of all sorts.
    store.results.commit([some_outcome(item, number) for number, item in enumerate(batch) if number % 3 == 0])
    review(store, run, [batch[4].id, batch[7].id], "b", decision="rejected", starred=True)
    review(store, run, [batch[8].id], "c", answer="Another one.")
    review(store, run, [item.id for item in batch[20:200]], "d", note="a note only")
    check(settled(catalog), store)
    # What an undo brings back is older than all that was looked at.
    store.reviews.undo(run.id, "d")
    store.reviews.undo(run.id, "b")
    check(settled(catalog), store)
    # Asked again, some answered once more before anybody looks; and everything at once.
    store.ledger.reopen(run.id, Choice(status=Status.DEAD))
    again = next(store.ledger.pending(run.id))
    store.results.commit([an_outcome(item, worker="another") for item in again[::2]])
    check(settled(catalog), store)
    store.ledger.reopen(run.id, Choice())
    check(settled(catalog), store)
    assert catalog.page(View(keep={Facet.STATUS: ("pending",)})).total == 230
    # Gone.
    store.deletion.begin(run)
    settled(catalog)
    assert catalog.upkeep.is_gone
    assert catalog.page(View()).items == ()
    assert catalog.facets(View())[0].values == ()
    assert list(store.deletion.steps(run.id))
    assert settled(Catalog(run, store)).upkeep.is_gone


def test_flags_that_come_later_are_found_and_those_that_are_rejected_are_kinds(store: Store) -> None:
    run, batch = a_stored_run(store, 230)
    seen = [replace(an_outcome(item), picture_hash=number % 100) for number, item in enumerate(batch)]
    refused = a_violation(batch[0], Rung.FREE, Flag.REFUSAL)
    seen[0] = replace(seen[0], violations=(refused, a_violation(batch[0], Rung.FREE, Flag.MARKUP)))
    # The first ones of all come last: only then are the others with their pictures later ones.
    store.results.commit(seen[100:200])
    catalog = settled(Catalog(run, store))
    check(catalog, store)
    store.results.commit(seen[:100])
    check(settled(catalog), store)
    view = View(keep={Facet.FLAG: ("seen_before",)})
    assert catalog.page(view).total == 100
    assert catalog.page(View(keep={Facet.KIND: ("markup",)})).total == 1
    store.results.commit(seen[200:])
    check(settled(catalog), store)
    # What a look over the run adds and takes back, beside a new answer.
    with store.hindsight._database.writing() as connection:  # pyrefly: ignore[protected-access]
        rows = [flag_row(item.id, run.id, Finding(Flag.STOCK_ANSWER, 0.5)) for item in batch[3:200:7]]
        count_flags(store.hindsight._database, connection, insert_flags(store.hindsight._database, connection, rows))  # pyrefly: ignore[protected-access]
    check(settled(catalog), store)
    assert store.hindsight.look_over(run.id).removed == len(rows)
    check(settled(catalog), store)


def test_what_comes_late_is_found_though_it_looks_old(store: Store) -> None:
    run, batch = a_stored_run(store, 230)
    store.results.commit([an_outcome(batch[0])])
    catalog = settled(Catalog(run, store))
    check(catalog, store)
    # A worker that could not reach the database for long, or whose clock is slow.
    late = now() - timedelta(hours=1)
    store.results.commit([an_outcome(item, finished_at=late) for item in (batch[3], batch[77], batch[229])])
    catalog.upkeep.refresh()
    assert not catalog.upkeep.is_settled or catalog.page(View(keep={Facet.STATUS: ("ok",)})).total == 4
    check(settled(catalog), store)
    assert catalog.page(View(order=Order.NEWEST)).items[:2] == (batch[0].id, batch[3].id)


def test_items_that_come_late_fill_the_holes_they_left(store: Store) -> None:
    options = parse_options(questions_per_image=3)
    run = store.runs.create("r", options=options, pool_digest="p", fingerprint="f", base="/", item_count=400)
    batch = [an_item(run.id, index) for index in range(400)]
    # Two programs submit it, and the second is ahead.
    store.ledger.add(batch[150:300], [])
    catalog = settled(Catalog(run, store))
    assert (catalog.loaded, catalog.whole) == (150, 400)
    invalid = [
        Result(item_id=item.id, run_id=run.id, status=Status.INVALID, reason=Reason.BAD_ROW) for item in batch[:150:9]
    ]
    store.ledger.add(batch[:150], invalid)
    check(settled(catalog), store)
    store.ledger.add(batch[310:], [])
    check(settled(catalog), store)
    assert catalog.loaded == 390


def write_all(store: Store, run: Run, size: int) -> None:
    """Submit a run in parts; answer, review and ask again what is there already."""
    batch = [an_item(run.id, index) for index in range(size)]
    for start in range(0, size, 40):
        store.ledger.add(batch[start : start + 40], [])
        items = [item for item in batch[start : start + 40] if item.position % 7]
        store.results.commit([some_outcome(item, item.position) for item in items])
        review(store, run, [item.id for item in items[:5]], f"a{start}", decision="accepted")
        if start % 120 == 0:
            store.ledger.reopen(run.id, Choice(items=tuple(item.id for item in items[::3])))


def look_once(catalog: Catalog) -> None:
    """Whatever is written meanwhile, each answer adds up."""
    columns = catalog.columns("status", "forced", "finished")
    pending = columns["status"] == catalog.names(Facet.STATUS).index("pending")
    assert (pending == (columns["forced"] == 0)).all()
    assert (pending == np.isnan(columns["finished"])).all()
    facets = {counts.facet: {one.value: one.items for one in counts.values} for counts in catalog.facets(View())}
    ended = sum(facets[Facet.STATUS].values()) - facets[Facet.STATUS].get("pending", 0)
    assert sum(facets[Facet.FORCED].values()) == ended
    page = catalog.page(View(order=Order.NEWEST), size=1000)
    assert len(set(page.items)) == len(page.items) == page.total


def test_a_catalog_is_right_while_others_write(store: Store, catalogs: Catalogs, size: Size) -> None:
    """Submitted, answered, asked again, reviewed and read, all at once; torn rows would not add up."""
    items = size(320, 1000)
    run = store.runs.create("r", options=parse_options(), pool_digest="p", fingerprint="f", base="/", item_count=items)
    done = threading.Event()

    def look() -> int:
        looks = 0
        while not done.is_set():
            look_once(catalogs.of(run))
            looks += 1
        return looks

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(look) for _ in range(2)]
        try:
            pool.submit(write_all, store, run, items).result()
            catalog = catalogs.of(run)
            wait_until(
                lambda: catalog.loaded == items and catalog.upkeep.is_settled, describe="all is known", seconds=60
            )
        finally:
            done.set()
        assert all(reader.result() > 3 for reader in readers)
    check(catalog, store)


def test_our_own_reviews_are_seen_at_once_and_trouble_is_told(
    store: Store, catalogs: Catalogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, batch = a_stored_run(store, 120)
    store.results.commit([an_outcome(item) for item in batch])
    catalog = catalogs.of(run)
    wait_until(lambda: catalog.upkeep.is_settled, describe="it is loaded")
    assert catalogs.of(run) is catalog
    first = catalog.first_unreviewed(View())
    assert first == batch[0].id
    review(store, run, [batch[0].id], decision="accepted")
    catalogs.note(run.id, [batch[0].id])
    assert catalog.first_unreviewed(View()) == batch[1].id
    assert catalog.first_unreviewed(View(), after=batch[7].id) == batch[8].id
    assert catalog.first_unreviewed(View(keep={Facet.REVIEW: ("accepted",)})) is None

    def fail(*_: object) -> None:
        raise StoreUnavailable("the database does not answer")

    monkeypatch.setattr(catalog.upkeep, "refresh", fail)
    wait_until(lambda: catalog.trouble == "the database does not answer", describe="the trouble is told")
    monkeypatch.undo()
    wait_until(lambda: catalog.trouble is None, describe="the trouble is over")


def test_the_numbers_of_a_verbatim_run_stay_bounded(store: Store) -> None:
    """A question for each record: no list of them is kept that grows with the run."""
    run, batch = a_stored_run(store, 5)
    texts = [
        replace(
            item, id=ItemId(item.id + 10), position=item.position + 10, tag=Tag(""), question=f"{item.id}{1200 * 'q'}"
        )
        for item in batch
    ]
    store.ledger.add(texts, [])
    catalog = settled(Catalog(run, store))
    names = catalog.names(Facet.QUESTION)
    assert Counter(map(len, names)) == Counter({0: 2, 12: 1, 1000: 5})
    assert catalog.page(View(keep={Facet.QUESTION: (names[-1],)})).total == 1
