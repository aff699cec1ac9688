"""Rows: what is measured, what it has to reach, and how large the long and the short form are."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from benchmarks import (
    flags,
    gallery,
    gallery_pictures,
    memory,
    open_runs,
    overhead,
    scaling,
    sizes,
    submitting,
    throughput,
)
from benchmarks.front_end import FrontEnd, Shape, Spent
from benchmarks.measuring import Pair, in_turn, median_ratio
from benchmarks.throughput import Model
from persqa.models import DEMO_MODEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Pairs = list[Pair]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How it is measured.

    Attributes:
        short: a tenth of the size: minutes, and less sure.
        model: what answers where a model does.
    """

    short: bool = False
    model: Model = field(default_factory=Model)

    def least(self, small: float, large: float) -> float:
        """What is asked for with the small model on a CPU, or with a large one on a GPU."""
        return small if self.model.name == DEMO_MODEL else large


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        measure: what it is.
        value: the figure.
        unit: of the figure; empty for a ratio.
        least: what the figure must not be below.
        most: what it must not be above.
        detail: both sides, for people.
        pairs: all that was measured, in the order it was.
    """

    measure: str
    value: float
    unit: str = ""
    least: float | None = None
    most: float | None = None
    detail: str = ""
    pairs: Pairs = field(default_factory=Pairs)

    @property
    def reached(self) -> bool:
        """Whether the figure is what was asked for; a figure for comparison always is."""
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)


def _engine(form: Form) -> Iterator[Row]:
    """The fleet beside one offline call."""
    items, pairs = (120, 1) if form.short else (1000, 5)
    measured = throughput.against("offline", model=form.model, items=items, pairs=pairs)
    yield _ratio("items/s ÷ one offline LLM.chat", measured, least=form.least(1.05, 0.98))


def _peers(form: Form) -> Iterator[Row]:
    """The fleet beside other ways to use vLLM from a queue."""
    items, pairs = (100, 1) if form.short else (192, 3)
    for measure, name, arguments in (
        ("items/s ÷ Celery tasks of 32, in lockstep", "celery_calls", {"batch": 32}),
        ("items/s ÷ Celery tasks of one item", "celery_calls", {"batch": 1}),
        ("items/s ÷ celery-batches, 32 at most", "celery_batches", {}),
    ):
        yield _ratio(measure, throughput.against(name, model=form.model, items=items, pairs=pairs, **arguments))


def _ray(form: Form) -> Iterator[Row]:
    """The fleet beside Ray Data, where that is installed with a vLLM that runs the model."""
    items, pairs = (100, 1) if form.short else (1000, 3)
    yield _ratio("items/s ÷ Ray Data LLM", throughput.against("ray_data", model=form.model, items=items, pairs=pairs))


def _questions(form: Form) -> Iterator[Row]:
    """Several questions about one image."""
    items, pairs = (400, 2) if form.short else (1000, 4)
    measured = throughput.questions_per_image(model=form.model, items=items, questions=4, pairs=pairs)
    yield _ratio("items/s, 4 questions per image ÷ 1", measured, least=form.least(1.2, 2.0))


def _front_end(form: Form) -> Iterator[Row]:
    """All but the model, in the shape of the default model for GPUs."""
    items, rounds = (256, 1) if form.short else (800, 3)
    square = Shape(width=512, height=512, items=items)
    # Fewer items are steady with a smaller window, and long answers need an engine that is quicker with each token.
    with FrontEnd(step_seconds=0.0025, window=64 if form.short else 256) as worker:
        pairs = in_turn(
            lambda: worker.measure(replace(square, answer_tokens=128)).rate,
            lambda: worker.measure(square).rate,
            pairs=rounds,
        )
        yield _ratio("front end, items/s, answers of 128 tokens ÷ of 16", pairs, least=0.8)
        if form.short:
            yield from _questions_about_photos(worker, square, rounds)
            return
    with FrontEnd() as worker:
        yield from _spent([worker.measure(replace(square, width=1024, height=1024)) for _ in range(rounds)])
        yield from _questions_about_photos(worker, square, rounds)
        photo = worker.measure(replace(square, width=4000, height=3000, items=300))
        yield Row(measure="front end, 4000 x 3000", value=photo.rate, unit="items/s", least=40)
    with FrontEnd(max_pixels=2**20) as worker:
        photos = [worker.measure(Shape(width=2048, height=1536, items=500)).rate for _ in range(rounds)]
        measure = "front end, 2048 x 1536, scaled down to one megapixel"
        yield Row(measure=measure, value=statistics.median(photos), unit="items/s", least=80)


def _questions_about_photos(worker: FrontEnd, square: Shape, rounds: int) -> Iterator[Row]:
    pairs = in_turn(
        lambda: worker.measure(replace(square, questions=4)).rate, lambda: worker.measure(square).rate, pairs=rounds
    )
    alone = statistics.median(pair.theirs for pair in pairs)
    yield Row(measure="front end, 512 x 512", value=alone, unit="items/s", least=180)
    # The few items of one short round do not fill a worker evenly.
    yield _ratio("front end, items/s, 4 questions per photo ÷ 1", pairs, least=2.0 if rounds > 1 else 1.4)


def _spent(spent: list[Spent]) -> Iterator[Row]:
    measure = "front end, 1024 x 1024"
    middle = sorted(spent, key=lambda each: each.front_end)[len(spent) // 2]
    parts = {**middle.threads, **middle.processes}
    detail = ", ".join(f"{name} {milliseconds:.2f}" for name, milliseconds in parts.items() if milliseconds > 0.1)
    rate = statistics.median(each.rate for each in spent)
    yield Row(measure=measure, value=rate, unit="items/s", least=100)
    yield Row(measure=f"{measure}, all processes", value=middle.front_end, unit="ms", most=12, detail=detail)
    yield Row(measure=f"{measure}, the busiest thread", value=middle.busiest_thread, unit="ms", most=3)
    if middle.lock is not None:
        yield Row(measure=f"{measure}, holding the interpreter's lock", value=middle.lock, unit="ms", most=4)


def _overhead(form: Form) -> Iterator[Row]:
    """All but the engine."""
    pairs = overhead.against_stock_celery(items=2000 if form.short else 10_000, pairs=1 if form.short else 5)
    yield _ratio("items/s, an engine that answers at once ÷ stock Celery no-op tasks", pairs, least=2.0)


def _submit(form: Form) -> Iterator[Row]:
    """Submitting, for time."""
    pairs = submitting.against_send_task(items=5000 if form.short else 50_000, pairs=3 if form.short else 5)
    yield Row(
        measure="submit",
        value=statistics.median(pair.ours for pair in pairs),
        unit="items/s",
        least=10_000,
        pairs=pairs,
    )
    yield _ratio("submit ÷ stock send_task, items/s", pairs, least=8.0)


def _submit_memory(form: Form) -> Iterator[Row]:
    """Submitting, for memory."""
    # Beyond the default bound of the queue.
    items = 120_000 if form.short else 1_000_000
    producer, redis = submitting.memory(items=items)
    yield Row(measure=f"producer memory, {items:,} items", value=producer, unit="MB", most=300)
    yield Row(measure="Redis memory, the default bound of the queue", value=redis, unit="MB", most=200)


def _workers(form: Form) -> Iterator[Row]:
    """More workers."""
    workers = 4 if form.short else 8
    pair = scaling.workers_against_one(workers=workers, seconds=5 if form.short else 20)
    yield _ratio(f"items/s, {workers} workers of 50 items/s ÷ 1", [pair], least=0.95 * workers)


def _sizes(form: Form) -> Iterator[Row]:
    """A large run beside a small one."""
    large, small = (20_000, 1500) if form.short else (1_000_000, 10_000)
    costs = sizes.large_against_small(large=large, small=small)
    status = costs.pop("status")
    for name, pairs in costs.items():
        yield _ratio(f"cost of an item, {name}: {large:,} items ÷ {small:,}", pairs, most=1.15, unit="ms", factor=1000)
    looked = statistics.median(pair.ours for pair in status)
    yield Row(measure=f"status, {large:,} items", value=1000 * looked, unit="ms", most=50, pairs=status)


def _worker_memory(form: Form) -> Iterator[Row]:
    """A worker that has worked for long."""
    early, late = (1000, 3000) if form.short else (5000, 50_000)
    pair = memory.late_against_early(early=early, late=late)
    yield _ratio(f"worker memory, after {late:,} items ÷ after {early:,}", [pair], most=1.05, unit="MB")


def _pictures(form: Form) -> Iterator[Row]:
    """A page of the gallery, its pictures only."""
    cold, warm = gallery_pictures.thumbnails(times=1 if form.short else 5)
    thumbnails = "60 thumbnails of JPEGs of 2 megapixels"
    yield Row(measure=f"{thumbnails}, for the first time", value=statistics.median(cold), unit="s", most=1)
    yield Row(measure=f"{thumbnails}, again", value=1000 * statistics.median(warm), unit="ms", most=50)


def _gallery(form: Form) -> Iterator[Row]:
    """Looking at a large run while a worker writes."""
    items, seconds, pairs = (30_000, 2, 1) if form.short else (1_000_000, 60, 7)
    for database, looked in gallery.on_each_database(items=items, seconds=seconds, pairs=pairs):
        of = f"{items:,} items, {database}"
        yield Row(measure=f"into memory, {of}", value=looked.loading, unit="s")
        for measure, took, most in (
            ("a page and its facets, meanwhile", looked.while_loading, 200),
            ("a page and its facets, 500 rows/s", looked.pages, 200),
            ("search for a text", looked.texts, 1000),
            ("search for a record", looked.names, 200),
        ):
            yield Row(measure=f"{measure}, {of}", value=1000 * gallery.p95(took), unit="ms", most=most)
        yield Row(measure=f"memory, {of}", value=looked.memory, unit="MB", most=300)
        yield _ratio(f"rows/s written while a person looks ÷ while nobody does, {of}", looked.writing, least=0.95)


def _flags(form: Form) -> Iterator[Row]:
    """All flags of an item, in processor time."""
    for what, texts in flags.answers().items():
        cost = flags.microseconds(texts, rounds=100 if form.short else 1_000)
        # No model answers with a hundred thousand random characters: that is only held within bounds.
        most = 300 if "anything" in what else 150
        yield Row(measure=f"all flags of an item, {what}", value=cost, unit="µs", most=most)


def _open(form: Form) -> Iterator[Row]:
    """Records that are added one by one."""
    for database, took in open_runs.of_one_record(records=15 if form.short else 300):
        of = f"one record through an idle system, {database}"
        yield Row(measure=f"{of}, median", value=1000 * statistics.median(took), unit="ms", most=60)
        yield Row(measure=f"{of}, p99", value=1000 * open_runs.p99(took), unit="ms", most=250)
    items, small, seconds, pairs = (12_000, 20, 1.5, 1) if form.short else (1_000_000, 1000, 20, 7)
    beside = open_runs.beside_a_large_run(items=items, small=small, seconds=seconds, pairs=pairs)
    of = f"beside {items:,} items"
    for what, took in (("adding one record", beside.adds), ("one record of an idle run", beside.starts)):
        yield Row(measure=f"{what} {of}, the slowest", value=max(took), unit="s", most=2)
    measure = f"items of the large run for a second of processor, {small:,} open runs beside it ÷ none"
    yield _ratio(measure, beside.rates, least=0.98)


#: By the name that the command takes.
MEASURES: dict[str, Callable[[Form], Iterator[Row]]] = {
    "engine": _engine,
    "front-end": _front_end,
    "overhead": _overhead,
    "submit": _submit,
    "submit-memory": _submit_memory,
    "workers": _workers,
    "open": _open,
    "questions": _questions,
    "sizes": _sizes,
    "worker-memory": _worker_memory,
    "pictures": _pictures,
    "gallery": _gallery,
    "flags": _flags,
    "peers": _peers,
}
#: Measured only when named.
SPECIAL: dict[str, Callable[[Form], Iterator[Row]]] = {"ray": _ray}


def _ratio(
    measure: str,
    pairs: Pairs,
    *,
    least: float | None = None,
    most: float | None = None,
    unit: str = "/s",
    factor: float = 1.0,
) -> Row:
    ours = factor * statistics.median(pair.ours for pair in pairs)
    theirs = factor * statistics.median(pair.theirs for pair in pairs)
    return Row(
        measure=measure,
        value=median_ratio(pairs),
        least=least,
        most=most,
        detail=f"{ours:.4g} {unit} ÷ {theirs:.4g} {unit}",
        pairs=pairs,
    )
