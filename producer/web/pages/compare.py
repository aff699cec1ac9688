"""Two runs side by side: /compare?a=RUN&b=RUN&question=TOPIC&by=first&show=only-a&at=ITEM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import numpy as np
from starlette.routing import Route

from persqa.choices import parse_choice
from persqa.items import MAX_ITEMS, ItemId
from persqa.policies import Policy
from producer.web.comparing.counts import By, Compared, Counts, Show
from producer.web.comparing.differences import Piece, differences

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from starlette.requests import Request
    from starlette.responses import Response

    from persqa.runs import Run
    from persqa.store.comparing import Side
    from producer.run_handle import RunHandle
    from producer.web.comparing import Comparison, Joined
    from producer.web.site import Site

_SIZE = 20
#: Questions of which the table tells.
_MOST_TOPICS = 100
_BY = {By.FIRST: "at the first try", By.END: "in the end"}
_SHOW = {
    Show.DIFFERENT: "that differ",
    Show.ONLY_A: "only A keeps the rule",
    Show.ONLY_B: "only B keeps the rule",
    Show.NEITHER: "neither keeps the rule",
    Show.BOTH: "both keep the rule",
    Show.ALL: "all",
}


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the address says."""

    a: str
    b: str
    question: str
    by: By
    show: Show
    at: int | None

    def address(self, **changes: str | int | None) -> str:
        """The address with something changed; a place in the list is left out unless it is given."""
        now = {"a": self.a, "b": self.b, "question": self.question, "by": self.by.value, "show": self.show.value}
        said = {name: value for name, value in (now | changes).items() if value not in ("", None)}
        return "/compare?" + urlencode(said, quote_via=quote)


@dataclass(frozen=True, slots=True)
class _Pair:
    """One item of both runs: where it is, what is said, and in which words that differs."""

    a: Side
    b: Side
    a_pieces: list[Piece]
    b_pieces: list[Piece]
    address: str


@dataclass(frozen=True, slots=True)
class _List:
    """A part of the list, and the addresses of the parts beside it."""

    pairs: list[_Pair]
    place: int
    total: int
    previous: str | None
    next: str | None


@dataclass(frozen=True, slots=True)
class _Found:
    """What two runs come to."""

    counts: Counts
    said: str
    topics: list[tuple[str, Counts]]
    listed: _List


def compare(request: Request) -> Response:
    """Choose two runs, or see them compared."""
    site: Site = request.app.state.site
    runs = [run.name for run in site.client.runs()]
    query = request.query_params
    names = query.get("a", ""), query.get("b", "")
    if not all(names):
        # The run before is what one compares a run with.
        return site.page(request, "compare_choose.html", runs=runs, a=names[0], b=names[1])
    a, b = (site.client.run(name) for name in names)
    wanted = _wanted(request, _usual(a.run, b.run))
    comparison = site.comparisons.of(a.run, b.run)
    joined = site.comparisons.joined(comparison)
    return site.page(
        request,
        "compare.html",
        runs=runs,
        a=a,
        b=b,
        wanted=wanted,
        comparison=comparison,
        joined=joined,
        found=None if joined is None else _found(site, comparison, joined, wanted),
        shows=_SHOW,
        bys=_BY,
        forced=[run.name for run in (a, b) if _is_forced(run)],
    )


def _found(site: Site, comparison: Comparison, joined: Joined, wanted: _Wanted) -> _Found:
    compared = Compared(comparison.a, comparison.b, joined, wanted.by)
    topics = compared.topics()
    if wanted.question and wanted.question not in dict(topics):
        parse_choice(wanted.question, [topic for topic, _ in topics], name="question")
    each = comparison.a.run.options.questions_per_image
    chosen = compared.shown(wanted.show, wanted.question)
    return _Found(
        compared.counts(wanted.question),
        compared.said(wanted.question, each=each),
        topics[:_MOST_TOPICS],
        _listed(site, comparison, compared, chosen, wanted),
    )


def _listed(
    site: Site, comparison: Comparison, compared: Compared, chosen: npt.NDArray[np.int64], wanted: _Wanted
) -> _List:
    runs = comparison.a.run, comparison.b.run
    ids = compared.a[chosen]
    start = 0 if wanted.at is None else int(np.searchsorted(ids, wanted.at % MAX_ITEMS))
    start = max(0, min(start, len(ids) - 1))
    places = chosen[start : start + _SIZE]
    a_ids, b_ids = _ids(runs[0], compared.a[places]), _ids(runs[1], compared.b[places])
    sides = site.client.store.comparing.sides([*a_ids, *b_ids])
    pairs = zip(a_ids, b_ids, strict=True)
    found = [_pair(runs, sides[one], sides[other]) for one, other in pairs if one in sides and other in sides]

    def at(place: int) -> str:
        return wanted.address(at=int(ids[place]))

    return _List(
        found,
        start,
        len(ids),
        at(max(0, start - _SIZE)) if start else None,
        at(start + _SIZE) if start + _SIZE < len(ids) else None,
    )


def _pair(runs: tuple[Run, Run], a: Side, b: Side) -> _Pair:
    pieces = differences(a.answer or "", b.answer or "", tags=(a.tag, b.tag))
    return _Pair(a, b, *pieces, f"/runs/{runs[0].name}/items/{a.item_id}")


def _ids(run: Run, indexes: npt.NDArray[np.int32]) -> Sequence[ItemId]:
    return [ItemId(run.id * MAX_ITEMS + index) for index in indexes.tolist()]


def _wanted(request: Request, usual: By) -> _Wanted:
    query = request.query_params
    at = query.get("at", "")
    return _Wanted(
        a=query["a"],
        b=query["b"],
        question=query.get("question", ""),
        by=parse_choice(query.get("by", usual), list(By), name="by"),
        show=parse_choice(query.get("show", Show.DIFFERENT), list(Show), name="show"),
        at=int(at) if at.isascii() and at.isdigit() else None,
    )


def _is_forced(run: RunHandle) -> bool:
    return run.run.options.tag_policy is Policy.PREFILL


def _usual(a: Run, b: Run) -> By:
    """What the model does by itself, where both runs can tell."""
    return By.END if Policy.PREFILL in (a.options.tag_policy, b.options.tag_policy) else By.FIRST


routes = [Route("/compare", compare)]
