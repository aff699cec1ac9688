"""One item: its pictures, its record, every generation, and what people say of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.routing import Route

from persqa.close_ups import CloseUp, GenerationRow
from persqa.conversations import FIELDS, speaker_of, words_of
from persqa.items import ItemId
from persqa.policies import Rung, generation_seed
from persqa.prompts import human_turn
from persqa.records import record_id, stored_record
from persqa.results import Status
from persqa.verdicts import judge_text
from producer.texts import MOST_SHOWN
from producer.web.pages.marking import FLAGGED, MEANINGS, kind_of, marked, shown_parts
from producer.web.pages.tiles import PICTURELESS
from producer.web.pages.views import address, view_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TypeAlias

    from pydantic import JsonValue
    from starlette.requests import Request
    from starlette.responses import Response

    from persqa.flags import Finding
    from persqa.pairs import EarlierRow
    from producer.run_handle import RunHandle
    from producer.web.catalog import View
    from producer.web.site import Site

    Parts: TypeAlias = "list[tuple[str, str, str]]"

#: Fields of a record on its page, and characters of each.
_MOST_FIELDS = 60
_FIELD_CHARACTERS = 2000
_LINE_CHARACTERS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One generation, as a page shows it.

    Attributes:
        is_answer: whether it is the answer that was stored.
    """

    row: GenerationRow
    parts: Parts
    is_answer: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What happened since an item was asked, or asked again.

    Attributes:
        earlier: the result that was taken back; None of the last round, whose result is the item's.
    """

    made: list[Made]
    earlier: EarlierRow | None


def item(request: Request) -> Response:
    """The page of one item, or the part of it that changes from item to item."""
    site: Site = request.app.state.site
    run = site.run(request)
    view = view_of(request)
    is_part = request.headers.get("hx-target") == "item"
    part = item_part(request, site, run, ItemId(request.path_params["item"]), view)
    return site.page(request, "item_part.html" if is_part else "item.html", **part)


def item_part(request: Request, site: Site, run: RunHandle, item_id: ItemId, view: View) -> dict[str, Any]:
    """What the page of an item shows.

    Raises:
        HTTPException: the run has no such item.
    """
    store = site.client.store
    row = store.close_ups.of(run.run.id, item_id)
    if row is None:
        raise HTTPException(404, f"the run {run.name!r} has no item {item_id}")
    review = store.reviews.of([item_id]).get(item_id)
    flags = store.flags.of([item_id]).get(item_id, ())
    catalog = site.catalogs.of(run.run)
    previous, following = catalog.neighbours(view, item_id)
    record = stored_record(row.record)
    edited = None if review is None else review.answer
    return {
        "run": run,
        "tab": "gallery",
        "view": view,
        "address": address,
        "row": row,
        "is_pictured": bool(row.images) and row.status not in PICTURELESS,
        "record_name": record_id(record, run.run.options.id_column),
        "fields": list(_fields(record)),
        "turns": list(_turns(run, row)),
        "answer": _answer(row, flags),
        "flags": [found for found in flags if found.flag != row.reason],
        "flagged": FLAGGED,
        "meaning": None if (kind := kind_of(row.reason)) is None else MEANINGS[kind],
        "edited": None if edited is None else _edited(row, edited),
        "broken": None if edited is None else judge_text(edited, tag=row.tag, question=row.question),
        "meanings": MEANINGS,
        "rounds": _rounds(run, row, store.results.earlier(item_id)),
        "siblings": store.close_ups.same_record(run.run.id, item_id, run.run.options.questions_per_image),
        "review": review,
        "history": store.reviews.history(item_id),
        "may_review": site.may_review,
        "previous": previous,
        "following": following,
        "place": catalog.rank(view, item_id),
        "total": catalog.page(view, at=item_id, size=1).total,
        "is_complete": catalog.is_complete,
        "goes_on": request.cookies.get("persqa-goes-on", "yes") != "no",
    }


def _answer(row: CloseUp, flags: Sequence[Finding]) -> Parts | None:
    if row.answer is None:
        return None
    parts = marked(row.answer, tag=row.tag, question=row.question, kind=kind_of(row.reason), findings=flags)
    return shown_parts(parts, MOST_SHOWN)


def _edited(row: CloseUp, answer: str) -> Parts:
    kind = judge_text(answer, tag=row.tag, question=row.question)
    return shown_parts(marked(answer, tag=row.tag, question=row.question, kind=kind), MOST_SHOWN)


def _rounds(run: RunHandle, row: CloseUp, earlier: Sequence[EarlierRow]) -> list[Round]:
    """Every generation, by the time when the item was asked."""
    rounds, left = list[Round](), list(row.broken)
    for result in earlier:
        own = [made for made in left if made.created_at <= result.taken_back_at]
        left = left[len(own) :]
        kept = None if result.status is not Status.OK else _kept(run, row.item_id, result)
        rounds.append(Round(made=_made(row, own, kept), earlier=result))
    kept = None if row.status is not Status.OK else _kept(run, row.item_id, row)
    return [*rounds, Round(made=_made(row, left, kept), earlier=None)]


def _kept(run: RunHandle, item_id: int, result: CloseUp | EarlierRow) -> GenerationRow | None:
    """The generation that kept the rule; it is stored as the result and nowhere else."""
    if result.rung is None or result.answer is None or result.finished_at is None:
        return None
    seed = generation_seed(run.run.options.seed, item_id=item_id, rung=result.rung, requeues=result.requeues)
    return GenerationRow(
        rung=result.rung,
        kind=None,
        text=result.answer,
        finish_reason=result.finish_reason,
        seed=seed,
        prompt_tokens=result.prompt_tokens,
        output_tokens=result.output_tokens,
        worker=result.worker,
        model=result.model,
        created_at=result.finished_at,
    )


def _made(row: CloseUp, broken: Sequence[GenerationRow], kept: GenerationRow | None) -> list[Made]:
    all_of_them = [*broken, *([kept] if kept else [])]
    return [
        Made(
            row=one,
            parts=shown_parts(marked(one.text, tag=row.tag, question=row.question, kind=one.kind), MOST_SHOWN),
            is_answer=one is all_of_them[-1] and one.text == row.answer,
        )
        for one in all_of_them
    ]


def _turns(run: RunHandle, row: CloseUp) -> Iterator[tuple[str, str]]:
    """The conversation as the model gets it: who speaks, and what."""
    if system := run.run.options.system_prompt:
        yield "system", system
    if row.question:
        yield "user", human_turn(row.tag, row.question)
    if row.rung is not None and row.rung.forced:
        yield f"assistant, put into its mouth on the rung {Rung.PREFILL}", row.tag


def _fields(record: Mapping[str, JsonValue]) -> Iterator[tuple[str, str]]:
    """The fields of a record, and what is in them."""
    for name, value in list(record.items())[:_MOST_FIELDS]:
        yield name, _field_text(name, value)[: _FIELD_CHARACTERS + 1]
    if (more := len(record) - _MOST_FIELDS) > 0:
        yield "…", f"{more:,} more fields"


def _field_text(name: str, value: JsonValue) -> str:
    if isinstance(value, str):
        return value
    if name in FIELDS and isinstance(value, list):
        turns = [turn for turn in value if isinstance(turn, dict)]
        if turns and len(turns) == len(value):
            return "\n".join(f"{speaker_of(turn) or '?'}: {words_of(turn)}" for turn in turns)
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LINE_CHARACTERS else json.dumps(value, ensure_ascii=False, indent=1)


def same_images(request: Request) -> Response:
    """The items of other records with the same pictures: looked for only when somebody wants to know."""
    site: Site = request.app.state.site
    run = site.run(request)
    item_id = ItemId(request.path_params["item"])
    images = site.client.store.ledger.images(run.run.id, item_id)
    found = site.client.store.close_ups.same_images(run.run.id, item_id, images) if images else []
    return site.page(request, "item_siblings.html", run=run, view=view_of(request), address=address, siblings=found)


routes = [
    Route("/runs/{run}/items/{item:int}", item),
    Route("/runs/{run}/items/{item:int}/same", same_images),
]
