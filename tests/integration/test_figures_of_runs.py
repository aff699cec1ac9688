"""Figures of a run in a real database: against a plain count of its rows, and each leads to the items it counts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import pytest

from persqa.items import ItemId
from persqa.pairs import Choice
from persqa.policies import Rung
from persqa.results import Status
from persqa.runs import parse_options
from producer.web.catalog import Catalog, Catalogs, View
from producer.web.comparing import Comparison, Comparisons, Joined
from producer.web.comparing.counts import By, Compared, Counts, Show
from producer.web.figures.drawn import Drawn
from tests.support.builders import an_outcome
from tests.support.judged import judged_run
from tests.support.sql import select
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from persqa.pairs import PairRow
    from persqa.runs import Run
    from persqa.store import Store
    from producer.charts import Figure

_ITEMS = 400
_JUDGED = (Status.OK, Status.NONCOMPLIANT)


def _loaded(catalogs: Catalogs, run: Run) -> Catalog:
    catalog = catalogs.of(run)
    wait_until(lambda: catalog.is_complete, describe="the run is loaded")
    return catalog


def _figures(store: Store, catalog: Catalog, run: Run, query: str = "") -> dict[str, Figure]:
    drawn = Drawn(run, catalog, View.parse(parse_qsl(query)), store.comparing.answers)
    return {figure.key: figure for figure in drawn.figures()}


def _numbers(figure: Figure) -> dict[str, list[str]]:
    return {row[0].text: [cell.text for cell in row[1:]] for row in figure.table.rows}


def test_figures_are_what_the_rows_come_to(store: Store, database_url: str, catalogs: Catalogs) -> None:
    run = judged_run(store, "r", _ITEMS)
    catalog = _loaded(catalogs, run)
    found = _figures(store, catalog, run)
    rows = list(store.queries.pairs(run))

    topics: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        if row.status in _JUDGED:
            topics[row.topic][row.rung if row.status == Status.OK and row.rung else "broken"] += 1
    for topic, numbers in _numbers(found["topics"]).items():
        counts = topics[topic]
        assert numbers[:5] == [str(n) for n in (counts.total(), *(counts[rung] for rung in Rung), counts["broken"])]
    assert set(_numbers(found["topics"])) == set(topics)

    # In this run an item has one violation at most.
    broken = {kind: int(numbers[0]) for kind, numbers in _numbers(found["kinds"]).items()}
    assert broken == store.queries.kinds(run.id)

    # The view of the database counts generations, of which the compliant ones are those of the first and second rung.
    compliance = select(database_url, "select kind, sum(generations) from compliance where run = 'r' group by kind")
    by_kind = {kind: int(number) for kind, number in compliance}
    table = [list(map(int, numbers[:5])) for numbers in _numbers(found["topics"]).values()]
    assert by_kind["compliant"] == sum(row[1] + row[2] for row in table)
    assert by_kind["forced"] == sum(row[3] for row in table)

    answers = Counter((row.topic, row.answer) for row in rows if row.answer)
    for row in found["answers"].table.rows:
        answer, topic, number, _, pictures = [cell.text for cell in row]
        assert int(number) == answers[topic, answer]
        assert int(pictures) == len({one.image for one in rows if (one.topic, one.answer) == (topic, answer)})
    assert sum(int(numbers[0]) for numbers in _numbers(found["lengths"]).values()) == answers.total()
    assert sum(int(numbers[0]) for numbers in _numbers(found["throughput"]).values()) == _ITEMS - _ITEMS // 10


@pytest.mark.parametrize("query", ["", "topic=hair&not-status=pending", "q=red&model=m-1", "length=20-40"])
def test_every_number_leads_to_its_items(store: Store, catalogs: Catalogs, query: str) -> None:
    run = judged_run(store, "r", _ITEMS)
    catalog = _loaded(catalogs, run)
    view = View.parse(parse_qsl(query))
    wait_until(lambda: len(set(catalog.searched(view))) == 1, describe="the search is done")
    followed = 0
    for figure in _figures(store, catalog, run, query).values():
        for row in figure.table.rows:
            for cell in row[1:]:
                # A search for the words of an answer finds what contains them, too.
                if cell.address and figure.key != "answers":
                    behind = View.parse(parse_qsl(urlsplit(cell.address).query))
                    assert len(catalog.chosen(behind)) == int(cell.text), (figure.key, row, cell)
                    followed += 1
    assert followed > 20


def test_a_run_without_answers_has_figures_that_say_so(store: Store, catalogs: Catalogs) -> None:
    run = store.runs.create("e", options=parse_options(), pool_digest="p", fingerprint="f", base="/", item_count=0)
    catalog = _loaded(catalogs, run)
    found = _figures(store, catalog, run)

    assert all(not figure.table.rows for figure in found.values())
    assert found["topics"].says == "No answer was judged yet."


def test_a_requeued_answer_counts_no_more(store: Store, catalogs: Catalogs) -> None:
    run = judged_run(store, "r", 40)
    catalog = _loaded(catalogs, run)
    view = View.parse([("status", "ok")])
    before = len(catalog.chosen(view))
    first = int(catalog.chosen(view)[0])
    store.ledger.reopen(run.id, Choice(items=(ItemId(first),)))

    def taken_back() -> bool:
        catalogs.of(run)
        return len(catalog.chosen(view)) == before - 1

    wait_until(taken_back, describe="the catalog has seen it")
    table = _numbers(_figures(store, catalog, run)["topics"])
    assert sum(int(numbers[0]) - int(numbers[4]) for numbers in table.values()) == before - 1


@pytest.fixture
def comparisons(store: Store, catalogs: Catalogs) -> Iterator[Comparisons]:
    opened = Comparisons(store, catalogs)
    yield opened
    opened.close()


def _joined(comparisons: Comparisons, a: Run, b: Run) -> tuple[Comparison, Joined]:
    found: list[Joined] = []

    def is_joined() -> bool:
        joined = comparisons.joined(comparisons.of(a, b))
        found.extend([joined] if joined is not None else [])
        return joined is not None

    wait_until(is_joined, describe="the runs are joined")
    return comparisons.of(a, b), found[-1]


def _keeps(row: PairRow, by: By) -> bool:
    return row.status == Status.OK and (by is By.END or row.rung is Rung.FREE)


@pytest.mark.parametrize("shift", [0, 130])
@pytest.mark.parametrize("by", By)
def test_two_runs_are_counted_both_ways(store: Store, comparisons: Comparisons, shift: int, by: By) -> None:
    a = judged_run(store, "a", _ITEMS, seed=1)
    b = judged_run(store, "b", _ITEMS, seed=2, shift=shift, fingerprint="f" if not shift else "g")
    comparison, joined = _joined(comparisons, a, b)
    compared = Compared(comparison.a, comparison.b, joined, by)

    assert comparison.is_by_place == (shift == 0)
    theirs = {(str(row.record), row.question): row for row in store.queries.pairs(b)}
    pairs = [
        (row, theirs[str(row.record), row.question])
        for row in store.queries.pairs(a)
        if (str(row.record), row.question) in theirs
    ]
    assert len(joined) == len(pairs) == _ITEMS - shift
    assert (joined.only_a, joined.only_b) == (shift, shift)
    judged = [(one, other) for one, other in pairs if one.status in _JUDGED and other.status in _JUDGED]
    ways = Counter((_keeps(one, by), _keeps(other, by)) for one, other in judged)
    expected = Counts(
        len(pairs) - len(judged), ways[True, True], ways[True, False], ways[False, True], ways[False, False]
    )
    assert compared.counts() == expected
    assert sum(one.judged for _, one in compared.topics()) == expected.judged
    assert compared.counts("hair").judged == sum(one.topic == "hair" for one, _ in judged)

    ids = [row.item_id for row in store.queries.pairs(a)]
    only_a = {one.item_id for one, other in judged if _keeps(one, by) and not _keeps(other, by)}
    differ = {one.item_id for one, other in pairs if (one.answer, one.status) != (other.answer, other.status)}
    for show, items in ((Show.ONLY_A, only_a), (Show.DIFFERENT, differ), (Show.ALL, {one.item_id for one, _ in pairs})):
        assert {ids[compared.a[place]] for place in compared.shown(show)} == items


def test_what_a_run_gets_later_is_compared_too(store: Store, comparisons: Comparisons, catalogs: Catalogs) -> None:
    a = judged_run(store, "a", 40, seed=1)
    b = judged_run(store, "b", 40, seed=1, fingerprint="g")
    comparison, joined = _joined(comparisons, a, b)
    assert not Compared(comparison.a, comparison.b, joined, By.END).shown(Show.DIFFERENT).size
    pending = next(store.ledger.pending(b.id))[0]
    store.results.commit([an_outcome(pending, answer="<mam> says something new.")])

    def differs() -> bool:
        comparison, joined = _joined(comparisons, a, b)
        return Compared(comparison.a, comparison.b, joined, By.END).shown(Show.DIFFERENT).size == 1

    wait_until(differs, describe="the new answer is compared")
    assert comparison.a is catalogs.of(a)


def test_several_questions_about_a_picture_are_not_independent(store: Store, comparisons: Comparisons) -> None:
    a, b = (judged_run(store, name, 40, seed=seed) for name, seed in (("a", 1), ("b", 2)))
    comparison, joined = _joined(comparisons, a, b)
    compared = Compared(comparison.a, comparison.b, joined, By.END)
    counts = compared.counts()

    # As one group, all items may fall to either side: then nothing can be told, whatever they are.
    alone, together = compared.said(), compared.said(each=40)
    assert f"{max(counts.only_a, counts.only_b)} items" in alone
    assert f"{max(counts.only_a, counts.only_b)} items" in together
    assert together.startswith("Too")
