"""The first page: all runs, how far they are, what can be done with them, and who works on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.routing import Route

from persqa.clock import duration, seconds_since
from persqa.errors import Infrastructure, NoDatabase, SettingsError
from persqa.phases import Phase, in_words
from persqa.policies import Policy
from persqa.results import Status
from persqa.runs import Priority, RunId, RunState
from persqa.words import to_type
from producer.intervals import percent, share
from producer.status import statuses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from producer.intervals import Share
    from producer.status import FleetStatus, RunStatus, WorkerStatus
    from producer.web.site import Site

#: Runs of a page; those that are under way come first, and are no more than these.
_PAGE = 40
#: How long until a page looks again, in seconds: while something goes on, and while nothing does.
OFTEN, SELDOM = 2, 12
#: What the part of good answers is called: it tells of the model itself only where nothing was repaired.
_COMPLIANCE = {
    Policy.CHECK: "keep the tag rule",
    Policy.REPAIR: "keep the tag rule, after repair",
    Policy.PREFILL: "keep the tag rule, with the tag written for the model",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One piece of a run's bar: the items of one status, where it begins and how wide it is, of 1000."""

    status: str
    items: int
    share: str
    start: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCard:
    """One run as the page shows it.

    Attributes:
        status: how far it is.
        pieces: of its bar, those without items too.
        compliance: the part of the judged answers that keeps the tag rule; None where no rule is asked for.
        rule: what `compliance` says, in words.
    """

    status: RunStatus
    pieces: Sequence[Piece]
    compliance: Share | None
    rule: str

    @property
    def left(self) -> str | None:
        """How long it takes, as in `1:02:03`."""
        seconds = self.status.seconds_left
        return None if seconds is None else duration(seconds)

    @property
    def askable(self) -> list[str]:
        """The statuses whose items can be asked again."""
        return [piece.status for piece in self.pieces if piece.items and piece.status not in (Status.OK, "pending")]

    @property
    def is_done(self) -> bool:
        """Whether every item has a result."""
        return self.status.progress.state is RunState.DONE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """What the list shows; `older` is where the next page begins, and `every` when to look again, in seconds."""

    cards: Sequence[RunCard] = ()
    older: RunId | None = None
    problem: str = ""
    is_empty: bool = False
    may_change: bool = False
    every: int = OFTEN


def runs(request: Request) -> Response:
    """All runs, those that are under way first, then the newest; a browser asks for the list alone again and again."""
    site: Site = request.app.state.site
    named, before = request.query_params.get("q", "").strip(), _number(request.query_params.get("before"))
    shown = _shown(site, named=named, before=before)
    template = "runs_now.html" if request.headers.get("hx-request") else "runs.html"
    here = urlencode([("q", named)] * bool(named) + [("before", str(before))] * (before is not None))
    return site.page(
        request,
        template,
        shown=shown,
        named=named,
        before=before,
        here=f"/?{here}" if here else "/",
        priorities=list(Priority),
        how_to_start=to_type("persqa run INPUT"),
    )


def fleet(request: Request) -> Response:
    """Who works: a part of its own, since a broker that is away takes seconds to say nothing."""
    site: Site = request.app.state.site
    try:
        found, problem = site.fleet.now(), ""
    except NoDatabase:
        found, problem = None, ""
    except (Infrastructure, SettingsError) as error:
        found, problem = None, str(error)
    workers = [] if found is None else [_worker(one) for one in found.workers]
    busy = found is not None and (bool(found.workers) or any(queue.waiting for queue in found.queues))
    return site.page(
        request,
        "fleet_now.html",
        fleet=found,
        workers=workers,
        queues=[] if found is None else _queues(found),
        problem=problem,
        every=OFTEN if busy else SELDOM,
    )


def _shown(site: Site, *, named: str, before: RunId | None) -> _Shown:
    store = site.client.store
    try:
        # However many runs there are, the database is asked as often.
        under_way = store.runs.under_way(_PAGE)
        ours = [run for run in under_way if named.lower() in run.name.lower()] if before is None else []
        older = store.runs.page(_PAGE + 1 - len(ours), before=before, named=named, besides=under_way)
        room = _PAGE - len(ours)
        found = statuses(store, [*ours, *older[:room]])
        may_change = site.may_review
    except NoDatabase:
        return _Shown(is_empty=True)
    except (Infrastructure, SettingsError) as error:
        return _Shown(problem=str(error))
    going_on = any(one.is_begun for one in found)
    return _Shown(
        cards=[_card(one) for one in found],
        older=older[room - 1].id if len(older) > room > 0 else None,
        may_change=may_change,
        is_empty=not found and not named and before is None,
        every=OFTEN if going_on else SELDOM,
    )


def _card(one: RunStatus) -> RunCard:
    progress, options = one.progress, one.run.options
    counts = {**{str(status): progress.ended[status] for status in Status}, "pending": progress.pending}
    ok = progress.ended[Status.OK]
    judged = ok + progress.ended[Status.NONCOMPLIANT]
    return RunCard(
        status=one,
        pieces=_pieces(counts, progress.submitted),
        compliance=None if options.verbatim or not judged else share(ok, judged),
        rule=_COMPLIANCE[options.tag_policy],
    )


def _pieces(counts: dict[str, int], whole: int) -> list[Piece]:
    pieces, start = list[Piece](), 0.0
    for status, items in counts.items():
        width = 1000 * items / whole if whole else 0.0
        said = percent(items / whole) if whole else "none"
        pieces.append(Piece(status=status, items=items, share=said, start=round(start, 2), width=round(width, 2)))
        start += width
    return pieces


@dataclass(frozen=True, slots=True, kw_only=True)
class _Worker:
    """One worker, in words."""

    name: str
    model: str
    gpus: str
    phase: str
    is_ready: bool
    in_flight: int
    window: int
    hindrances: Sequence[str]


def _worker(worker: WorkerStatus) -> _Worker:
    told = worker.info
    phase = in_words(told.phase)
    if told.phase is not Phase.READY:
        phase += f", {duration(seconds_since(told.since))}"
    if worker.other_database:
        phase += ", of another database"
    return _Worker(
        name=told.name,
        model=told.model,
        gpus=f"{'+'.join(gpu.number for gpu in told.gpus)} {told.gpus[0].name}" if told.gpus else "",
        phase=phase,
        is_ready=told.phase is Phase.READY and not told.hindrances,
        in_flight=told.in_flight,
        window=told.window,
        hindrances=[f"{one.sentence} ({duration(seconds_since(one.since))})" for one in told.hindrances],
    )


def _queues(fleet: FleetStatus) -> list[str]:
    """What waits, a sentence a queue."""
    said: list[str] = []
    for queue in fleet.queues:
        if queue.waiting:
            age = "" if queue.oldest_seconds is None else f", the next one for {duration(queue.oldest_seconds)}"
            said.append(f"{queue.waiting:,} wait in {queue.queue}{age}")
    return said


def _number(text: str | None) -> RunId | None:
    """Where a page begins; what is no number begins at the newest."""
    return RunId(int(text)) if text is not None and text.isdecimal() and len(text) < 19 else None


routes = [Route("/", runs), Route("/fleet", fleet)]
