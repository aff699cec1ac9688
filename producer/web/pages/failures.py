"""What went wrong in a run: its items that are not ok, in groups, with examples and what to do about each group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.routing import Route

from persqa.results import Status
from producer.advice import advice, is_worth_asking
from producer.intervals import percent
from producer.web.catalog import Facet, View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from persqa.close_ups import Tile
    from persqa.items import ItemId
    from producer.web.catalog import Catalog
    from producer.web.site import Site

_EXAMPLES = 6
#: How long until the page looks again, in seconds: while the run goes on, and while it does not.
_OFTEN, _SELDOM = 4, 15
#: What each status means, and what its groups are.
MEANINGS: Final = {
    Status.NONCOMPLIANT: "The model answered, and broke the tag rule each time; grouped by how its last answer did.",
    Status.INVALID: "These cannot be asked as they are: something is wrong with the record or its image.",
    Status.DEAD: "These were given up, so that they do not keep the others from being answered.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Items that ended in the same way.

    Attributes:
        reason: why, in one word.
        share: of all items of the run, in words.
        query: the address of the view that shows exactly these.
        examples: the first of them.
        said: the sentence of one of them, or what the model said.
        advice: what to do about them.
        worth_asking: whether asking them again may end differently.
    """

    status: Status
    reason: str
    items: int
    share: str
    query: str
    examples: Sequence[Tile]
    said: str
    advice: str
    worth_asking: bool


class _Found(NamedTuple):
    """A group as the catalog has it: the first of its items, and how many there are."""

    status: Status
    reason: str
    items: int
    first: tuple[ItemId, ...]


def failures(request: Request) -> Response:
    """The groups, the largest first; a browser asks for the list alone again and again."""
    site: Site = request.app.state.site
    run = site.run(request)
    catalog = site.catalogs.of(run.run)
    progress = run.progress()
    whole = max(progress.submitted, 1)
    found = _found(catalog)
    wanted = [one for group in found for one in group.first]
    tiles = {tile.item_id: tile for tile in site.client.store.close_ups.tiles(run.run.id, wanted)}
    groups = [_group(one, whole, [tiles[item] for item in one.first if item in tiles]) for one in found if one.reason]
    return site.page(
        request,
        "failures_now.html" if request.headers.get("hx-request") else "failures.html",
        run=run,
        tab="failures",
        sections=[(status, ended, percent(ended / whole)) for status in MEANINGS if (ended := progress.ended[status])],
        meanings=MEANINGS,
        groups=groups,
        others={one.status: one.items for one in found if not one.reason},
        catalog=catalog,
        progress=progress,
        may_change=site.may_review,
        every=_OFTEN if progress.pending or not catalog.is_complete else _SELDOM,
    )


def _found(catalog: Catalog) -> list[_Found]:
    """The groups, the largest first; those of items without a reason have an empty one."""
    columns = catalog.columns("id", Facet.STATUS.value, Facet.REASON.value)
    statuses, reasons = catalog.names(Facet.STATUS), catalog.names(Facet.REASON)
    groups: list[_Found] = []
    for status in MEANINGS:
        own = columns[Facet.STATUS.value] == statuses.index(status)
        ids, codes = columns["id"][own], columns[Facet.REASON.value][own]
        named = [(reason, ids[codes == code]) for code, reason in enumerate(reasons) if reason]
        groups += [_Found(status, reason, len(some), tuple(some[:_EXAMPLES].tolist())) for reason, some in named]
        groups.append(_Found(status, "", len(ids) - sum(len(some) for _reason, some in named), ()))
    return sorted((group for group in groups if group.items), key=lambda group: -group.items)


def _group(found: _Found, whole: int, examples: list[Tile]) -> Group:
    view = View(keep={Facet.STATUS: (str(found.status),), Facet.REASON: (found.reason,)})
    return Group(
        status=found.status,
        reason=found.reason,
        items=found.items,
        share=percent(found.items / whole),
        query=view.query(),
        examples=examples,
        said=next((text for tile in examples if (text := _said(tile))), ""),
        advice=advice(found.reason),
        worth_asking=is_worth_asking(found.status, found.reason),
    )


def _said(tile: Tile) -> str:
    """The sentence about an item, or what the model said."""
    return tile.detail or tile.answer or ""


routes = [Route("/runs/{run}/failures", failures)]
