"""Reviews: what a person decides of one item, of those that are selected, and of all that a view shows."""

from __future__ import annotations

from array import array
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from persqa.choices import parse_choice
from persqa.errors import SettingsError, UserError
from persqa.items import ItemId
from persqa.pairs import PENDING
from persqa.results import Status
from persqa.reviews import Decision, GivenReview, Review, new_action
from persqa.verdicts import judge_text
from producer.web.catalog import Facet
from producer.web.pages.item import item_part
from producer.web.pages.marking import MEANINGS
from producer.web.pages.tiles import shown_tiles
from producer.web.pages.views import address, view_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias

    from starlette.requests import Request

    from persqa.close_ups import CloseUp
    from producer.run_handle import RunHandle
    from producer.web.batches import Batch
    from producer.web.catalog import View
    from producer.web.site import Site

Fields: TypeAlias = "Sequence[tuple[str, str]]"

#: Characters of an answer or a note that a person writes.
_MOST_CHARACTERS = 20_000
_MOST_BYTES = 1_000_000
_DECISIONS = {"accepted": Decision.ACCEPTED, "rejected": Decision.REJECTED, "": None}


def _with_fields(page: Callable[[Request, Fields], Response]) -> Callable[[Request], object]:
    """A page that reads the fields of a form, in a thread like the other pages."""

    async def reads_fields(request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST_BYTES:
                raise SettingsError(f"the form is too large: at most {_MOST_BYTES:,} bytes are taken")
        fields = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
        return await run_in_threadpool(page, request, fields)

    return reads_fields


def review(request: Request, fields: Fields) -> Response:
    """Review one item; gives its tile or its page as it is now."""
    site: Site = request.app.state.site
    run = site.run(request)
    item = ItemId(request.path_params["item"])
    given, form = _given(fields), dict(fields)
    close_up = site.client.store.close_ups.of(run.run.id, item)
    if close_up is None:
        raise HTTPException(404, f"the run {run.name!r} has no item {item}")
    reviewer = site.reviewer(request)
    refused = _conflict(site, close_up, form, reviewer)
    action, said = "", refused
    if not refused:
        action = new_action()
        changed = site.client.store.reviews.change(
            run.run.id, [item], given, reviewer=reviewer, action=action, seen=_seen(close_up)
        )
        site.catalogs.note(run.run.id, changed)
        action = action if changed else ""
        said = _said(close_up, given) if changed else "It is so already."
    if not request.headers.get("hx-request"):
        return RedirectResponse(address(run.name, view_of(request).query(), item), 303)
    done: dict[str, Any] = {"action": action, "said": said, "refused": bool(refused)}
    return _reviewed(request, run, item, done, as_tile=form.get("as") == "tile")


def _given(fields: Fields) -> GivenReview:
    form = dict(fields)
    given = GivenReview()
    if "decision" in form:
        given["decision"] = _DECISIONS[parse_choice(form["decision"], tuple(_DECISIONS), name="decision")]
    if "answer" in form:
        # Browsers send the line ends of another system.
        given["answer"] = _short(form["answer"], "answer") or None
    if "note" in form:
        given["note"] = _short(form["note"], "note").strip()
    if "starred" in form:
        given["starred"] = form["starred"] == "1"
    return given


def _short(text: str, name: str) -> str:
    text = text.replace("\r\n", "\n")
    if len(text) > _MOST_CHARACTERS:
        raise SettingsError(f"the {name} has {len(text):,} characters: at most {_MOST_CHARACTERS:,} are taken")
    return text


def _conflict(site: Site, close_up: CloseUp, form: Mapping[str, str], reviewer: str) -> str:
    """What has happened since the person saw the item, if something did; empty where nothing did."""
    if close_up.finished_at is None:
        return "It was asked again and has no answer yet, so nothing was stored."
    seen = form.get("seen")
    if seen and _moment(seen) != close_up.finished_at:
        return "It was asked again meanwhile: this is the new answer, and nothing was stored. Look at it first."
    now = site.client.store.reviews.of([close_up.item_id]).get(close_up.item_id)
    was = form.get("was")
    if was is None or now is None or now.action == was or now.reviewer == reviewer:
        return ""
    return f"{now.reviewer} has {_words(now)} it meanwhile, so nothing was stored. Decide again to overrule that."


def _seen(close_up: CloseUp) -> dict[int, datetime]:
    return {} if close_up.finished_at is None else {close_up.item_id: close_up.finished_at}


def _words(review: Review) -> str:
    return str(review.decision) if review.decision else "changed the review of"


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{text[:40]!r} is no point in time: load the page again") from None


def _said(close_up: CloseUp, given: GivenReview) -> str:
    """What was stored, and whether a new answer breaks the rule."""
    if answer := given.get("answer"):
        kind = judge_text(answer, tag=close_up.tag, question=close_up.question)
        if kind is not None:
            return f"Stored, though it breaks the tag rule ({kind}): {MEANINGS[kind]}"
        return "Stored: this answer is used instead of the model's."
    if "answer" in given:
        return "Stored: the model's own answer is used again."
    if "decision" in given:
        return f"{given['decision'] or 'not decided'}".capitalize() + "."
    if "starred" in given:
        return "Starred." if given["starred"] else "The star is gone."
    return "The note is stored."


def _reviewed(request: Request, run: RunHandle, item: ItemId, done: dict[str, Any], *, as_tile: bool) -> Response:
    """The part of the page that has the item, as it is now."""
    site: Site = request.app.state.site
    view = view_of(request)
    if not as_tile:
        return site.page(request, "item_reviewed.html", **item_part(request, site, run, item, view) | done)
    (shown,) = shown_tiles(site, run, [item])
    more: dict[str, Any] = {"run": run, "view": view, "address": address, "shown": shown, "may_review": True}
    return site.page(request, "tiles_reviewed.html", **more | done)


def selected(request: Request, fields: Fields) -> Response:
    """Decide on the items that are named, each as it was seen."""
    site: Site = request.app.state.site
    run = site.run(request)
    given = _given(fields)
    items = [ItemId(_number(value)) for name, value in fields if name == "item"]
    seen = [_moment(value) for name, value in fields if name == "seen"]
    if len(items) != len(seen) or not items:
        raise SettingsError("select some items first: press x on each")
    action = new_action()
    changed = site.client.store.reviews.change(
        run.run.id,
        items,
        {"decision": given.get("decision")},
        reviewer=site.reviewer(request),
        action=action,
        seen=dict(zip(items, seen, strict=True)),
    )
    site.catalogs.note(run.run.id, changed)
    said = f"{len(changed):,} {given.get('decision') or 'not decided'}."
    if left := len(items) - len(changed):
        said += f" {left:,} of the selected ones were so already, or were asked again meanwhile."
    return site.page(request, "item_said.html", action=action if changed else "", said=said)


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 19:
        raise SettingsError(f"{text[:40]!r} is no item: load the page again")
    return int(text)


def ask_shown(request: Request) -> Response:
    """Say how many answers a decision about all that is shown would change, before it is made."""
    site: Site = request.app.state.site
    run = site.run(request)
    view = view_of(request)
    decision = parse_choice(request.query_params.get("decision", ""), tuple(Decision), name="decision")
    catalog = site.catalogs.of(run.run)
    _, searched = catalog.searched(view)
    answered = _answered(view)
    items = array("q", b"" if answered is None else catalog.chosen(answered).tobytes())
    statuses: list[tuple[str, int]] = [] if answered is None else _statuses(site, run, answered)
    batch = site.batches.prepare(run.run, decision, items, reviewer=site.reviewer(request))
    return site.page(
        request,
        "gallery_batch.html",
        run=run,
        view=view,
        batch=batch,
        number=len(items),
        pending=len(catalog.chosen(view)) - len(items),
        statuses=statuses,
        unanswered=sum(number for status, number in statuses if status in (Status.INVALID, Status.DEAD)),
        is_complete=catalog.is_complete and searched >= catalog.whole,
    )


def _answered(view: View) -> View | None:
    """The view without items that have no answer yet; None where nothing is left."""
    if view.keep.get(Facet.STATUS) == (PENDING,):
        return None
    if PENDING in view.leave_out.get(Facet.STATUS, ()):
        return view
    return view.toggled(Facet.STATUS, PENDING, leave_out=True)


def _statuses(site: Site, run: RunHandle, view: View) -> list[tuple[str, int]]:
    """How many of the view's items have which status."""
    counts = next((found for found in site.catalogs.of(run.run).facets(view) if found.facet is Facet.STATUS), None)
    kept, left_out = view.keep.get(Facet.STATUS, tuple(map(str, Status))), view.leave_out.get(Facet.STATUS, ())
    return [
        (one.value, one.items)
        for one in (counts.values if counts is not None else ())
        if one.value in kept and one.value not in left_out and one.items
    ]


def decide_shown(request: Request, fields: Fields) -> Response:
    """Begin what `ask_shown` has asked for."""
    site: Site = request.app.state.site
    run = site.run(request)
    batch = _batch(site, run, dict(fields).get("action", ""))
    site.batches.begin(batch)
    return site.page(request, "gallery_batch_progress.html", run=run, batch=batch)


def progress(request: Request) -> Response:
    """How far a decision about many items is."""
    site: Site = request.app.state.site
    run = site.run(request)
    return site.page(
        request, "gallery_batch_progress.html", run=run, batch=_batch(site, run, request.path_params["action"])
    )


def _batch(site: Site, run: RunHandle, action: str) -> Batch:
    batch = site.batches.find(run.run, action)
    if batch is None:
        raise UserError("this has been forgotten: the gallery was started anew meanwhile; choose again")
    return batch


def undo(request: Request, fields: Fields) -> Response:
    """Bring back what held before an action."""
    site: Site = request.app.state.site
    run = site.run(request)
    undone = site.client.store.reviews.undo(run.run.id, dict(fields).get("action", ""))
    site.catalogs.note(run.run.id, undone)
    said = f"Undone: {len(undone):,} {'answer is' if len(undone) == 1 else 'answers are'} as before."
    if not undone:
        said = "Nothing to undo: it was changed again since, or is undone already."
    return site.page(request, "item_said.html", action="", said=said)


_OF_RUN = "/runs/{run}/reviews"
routes = [
    Route("/runs/{run}/items/{item:int}/review", _with_fields(review), methods=["POST"]),
    Route(f"{_OF_RUN}/selected", _with_fields(selected), methods=["POST"]),
    Route(f"{_OF_RUN}/shown", ask_shown, methods=["GET"]),
    Route(f"{_OF_RUN}/shown", _with_fields(decide_shown), methods=["POST"]),
    Route(f"{_OF_RUN}/undo", _with_fields(undo), methods=["POST"]),
    Route(f"{_OF_RUN}/progress/{{action}}", progress),
]
