"""Sending: a page with some items of a run, for people who have neither the run nor PersQA."""

from __future__ import annotations

from collections import Counter, deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import persqa
from persqa.clock import now
from persqa.errors import InputError, Rejected
from persqa.images import shown_reference
from persqa.items import ItemId
from persqa.pairs import PENDING
from persqa.policies import Policy
from persqa.results import Status
from persqa.reviews import Decision, Wanted
from producer.exporters import PAGES
from producer.exporters.page import Card, Choices, Facts, Kept, Picture, reviews_of, topic_of, write_page
from producer.intervals import share
from producer.pictures import Pictures
from producer.sample import draw_items

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from persqa.pairs import PairRow
    from persqa.runs import Run
    from persqa.store import Store
    from producer.charts import Figure
    from producer.connections import Connections

#: Items of a page where nobody says how many: some three megabytes, which every mail server takes.
USUAL_SAMPLE = 200
#: Of a thumbnail: the longest side in pixels, and the quality of a JPEG.
_SIDE = 240
_QUALITY = 75
#: Images of an item that are shown.
_MOST_PICTURES = 4
#: Questions that are told apart, in all and on the page; where each record has its own, there are as many as records.
_MOST_COUNTED = 10_000
_MOST_QUESTIONS = 50
_LOOKED_UP = 200
#: Images are read by so many threads, for so many items ahead of the one that is written.
_THREADS = 4
_AHEAD = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Which items of a run a page shows.

    Attributes:
        sample: how many.
        only: their status; by default any but `pending`.
        reviewed: `accepted` or `not-rejected`; by default whatever people say of them.
    """

    sample: int = USUAL_SAMPLE
    only: str | None = None
    reviewed: Wanted | None = None

    def has(self, row: PairRow) -> bool:
        """Whether an item may be shown."""
        if row.status != (self.only or row.status) or (self.only is None and row.status == PENDING):
            return False
        if self.reviewed is Wanted.ACCEPTED:
            return row.review is Decision.ACCEPTED
        return self.reviewed is None or row.review is not Decision.REJECTED

    def __str__(self) -> str:
        return "ended" if self.only is None and self.reviewed is None else str(self.reviewed or self.only)


def send(  # noqa: PLR0913 - each is about the page
    connections: Connections,
    run: Run,
    target: Path,
    part: Part,
    *,
    overwrite: bool,
    figures: Sequence[Figure] = (),
    origin: Mapping[str, str] | None = None,
) -> int:
    """Write a page with a sample of a run's items, and figures of all of them.

    Args:
        connections: the database, and what images may be read.
        run: the run.
        target: the file.
        part: which items it shows.
        overwrite: whether the file may be there.
        figures: what is drawn of the run, in place of the table of compliance.
        origin: what has answered, by name.

    Returns:
        The number of items shown.

    Raises:
        InputError: the file cannot be written, is there already, or is none for a browser.
        BlobsUnavailable: the blob store does not answer.
    """
    if target.suffix.lower() not in PAGES:
        raise InputError(f"{target}: a page is opened by its suffix; name it {target.with_suffix('.html').name}")
    store = connections.store
    tally = _Tally()
    chosen = draw_items(
        ((ItemId(row.item_id), str(row.status)) for row in tally.each(store.queries.pairs(run)) if part.has(row)),
        part.sample,
        seed=run.options.seed,
    )
    facts = Facts(
        run=run,
        progress=store.queries.progress(run.id),
        sample=chosen,
        among=str(part),
        made_at=now(),
        version=persqa.__version__,
        compliance=tally.compliance(is_free=run.options.tag_policy is not Policy.PREFILL),
        kinds=store.queries.kinds(run.id),
        figures=figures,
        origin=origin or {},
    )
    choices = _choices(_found(store, run, chosen.items))
    with ThreadPoolExecutor(_THREADS, "persqa-pictures") as threads:
        pictures = Pictures(connections.settings, run, side=_SIDE, quality=_QUALITY)
        cards = _cards(_found(store, run, chosen.items), pictures, threads)
        return write_page(facts, choices, cards, target, overwrite=overwrite)


@dataclass(slots=True)
class _Tally:
    """Counts answers that were judged, by question; no more questions than a page needs are told apart."""

    judged: Counter[str] = field(default_factory=Counter[str])
    by_itself: Counter[str] = field(default_factory=Counter[str])
    in_the_end: Counter[str] = field(default_factory=Counter[str])

    def each(self, rows: Iterable[PairRow]) -> Iterator[PairRow]:
        """The rows, counted as they pass."""
        for row in rows:
            if row.tag and row.status in (Status.OK, Status.NONCOMPLIANT):
                self._count(topic_of(row), kept=row.status == Status.OK, forced=bool(row.forced))
            yield row

    def _count(self, topic: str, *, kept: bool, forced: bool) -> None:
        if topic in self.judged or len(self.judged) < _MOST_COUNTED:
            self.judged[topic] += 1
            self.in_the_end[topic] += kept
            self.by_itself[topic] += kept and not forced

    def compliance(self, *, is_free: bool) -> dict[str, Kept]:
        """Of the most frequent questions how many answers keep the rule, the worst question first.

        Args:
            is_free: whether the model could write the tag by itself.
        """
        kept = {
            topic: Kept(
                answers=number,
                by_itself=share(self.by_itself[topic], number) if is_free else None,
                in_the_end=self.in_the_end[topic],
            )
            for topic, number in self.judged.most_common(_MOST_QUESTIONS)
        }
        counts = self.by_itself if is_free else self.in_the_end
        return dict(sorted(kept.items(), key=lambda one: counts[one[0]] / one[1].answers))


class _Found(NamedTuple):
    """An item of the page, still without its pictures."""

    row: PairRow
    kinds: tuple[str, ...]
    images: tuple[str, ...]


def _found(store: Store, run: Run, items: Sequence[ItemId]) -> Iterator[_Found]:
    remaining = iter(items)
    while some := list(islice(remaining, _LOOKED_UP)):
        broken = store.queries.broken(some)
        images = {int(item.id): item.images for item in store.ledger.chosen(some)}
        for row in store.queries.chosen_pairs(run, some):
            kinds = tuple(dict.fromkeys(str(one.kind) for one in broken.get(row.item_id, ())))
            yield _Found(row, kinds, images.get(row.item_id, ()))


def _choices(found: Iterable[_Found]) -> Choices:
    items, statuses, kinds, questions, reviews = 0, *(Counter[str]() for _ in range(4))
    for one in found:
        items += 1
        statuses[one.row.status] += 1
        kinds.update(one.kinds)
        questions[topic_of(one.row)] += 1
        reviews.update(reviews_of(one.row) or ["none"])
    return Choices(
        items=items,
        statuses=_frequent(statuses),
        kinds=_frequent(kinds),
        questions=_frequent(questions),
        reviews=_frequent(reviews),
    )


def _frequent(counts: Counter[str]) -> list[str]:
    return [value for value, _ in counts.most_common(_MOST_QUESTIONS)]


def _cards(found: Iterable[_Found], pictures: Pictures, threads: ThreadPoolExecutor) -> Iterator[Card]:
    """The items with their pictures, in order; those of the next ones are read meanwhile."""
    waiting = deque[Future[Card]]()
    for one in found:
        waiting.append(threads.submit(_card, one, pictures))
        if len(waiting) > _AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _card(found: _Found, pictures: Pictures) -> Card:
    shown = [_thumbnail(reference, pictures) for reference in found.images[:_MOST_PICTURES]]
    more = max(0, len(found.images) - _MOST_PICTURES)
    return Card(row=found.row, kinds=found.kinds, pictures=shown, more=more)


def _thumbnail(reference: str, pictures: Pictures) -> Picture:
    name = shown_reference(reference)
    try:
        return Picture(source=pictures.of(reference), words=name)
    except Rejected as rejected:
        # Its own sentence may name folders of this machine, which are nobody's who gets the page.
        return Picture(source=None, words=f"{name}: no picture ({rejected.reason})")
