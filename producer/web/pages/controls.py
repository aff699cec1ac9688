"""What people do to a run from a page: pause, resume, cancel, priority, and asking items again."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from anyio.from_thread import run as wait_for
from starlette.exceptions import HTTPException
from starlette.routing import Route

from persqa.choices import parse_choice
from persqa.errors import SettingsError
from persqa.results import Status
from persqa.runs import RunState
from persqa.words import counted
from producer.advice import is_of_bad_images
from producer.fleet_state import fleet_state
from producer.web.acts import Asked
from producer.web.catalog import Facet, View

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from producer.run_handle import RunHandle
    from producer.web.acts import Act
    from producer.web.site import Site

#: How long an answer waits for what it has begun; what takes longer is asked about again.
_PATIENCE_SECONDS = 0.7
_MOST_BYTES = 100_000


def begin(request: Request) -> Response:
    """Do what the address says to the run."""
    site: Site = request.app.state.site
    run, verb = site.run(request), request.url.path.rpartition("/")[2]
    return _answer(request, site.acts.start(run.name, verb, _VERBS[verb](site, run, _form(request))))


def act(request: Request) -> Response:
    """How far something is that was begun."""
    site: Site = request.app.state.site
    found = site.acts.get(request.path_params["number"])
    if found is None:
        raise HTTPException(404, "nobody remembers how that ended: the gallery was started anew")
    return _answer(request, found)


def ask_cancel(request: Request) -> Response:
    """Ask before a run is given up."""
    site: Site = request.app.state.site
    run = site.run(request)
    return site.page(
        request,
        _whole_or_part(request, "cancel"),
        run=run,
        tab="",
        pending=run.progress().pending,
    )


def ask_requeue(request: Request) -> Response:
    """Say how many items would be asked again, and ask; the view says which they are."""
    site: Site = request.app.state.site
    run = site.run(request)
    view = View.parse(request.query_params.multi_items())
    status = _only_status(view)
    asked = ""
    if set(view.keep) == {Facet.STATUS} and not (view.leave_out or view.search):
        number = run.progress().ended[status]
    else:
        catalog = site.catalogs.of(run.run)
        if not catalog.is_complete:
            raise SettingsError("the items are still being counted: ask again in a moment")
        chosen = array("q", catalog.chosen(view).tobytes())
        number = len(chosen)
        asked = site.acts.remember(Asked(run_id=run.run.id, items=chosen, status=status))
    reason = next(iter(view.keep.get(Facet.REASON, ())), None)
    return site.page(
        request,
        _whole_or_part(request, "requeue"),
        run=run,
        tab="failures",
        wanted=status,
        reason=reason,
        number=number,
        asked=asked,
        bad_images=is_of_bad_images(reason),
    )


def _only_status(view: View) -> Status:
    """The one status of a view whose items are asked again, so that none that is good by then is taken back."""
    values = view.keep.get(Facet.STATUS, ())
    if len(values) != 1:
        raise SettingsError("say which items are asked again: those of one status, such as noncompliant")
    return parse_choice(values[0], [status for status in Status if status is not Status.OK], name="status")


def _pause(site: Site, run: RunHandle, form: Mapping[str, str]) -> Callable[[], str]:
    del form

    def do() -> str:
        withdrawn = run.pause()
        return f"{run.name} is paused, {_left(site, run, withdrawn)}"

    return do


def _cancel(site: Site, run: RunHandle, form: Mapping[str, str]) -> Callable[[], str]:
    del form

    def do() -> str:
        withdrawn = run.cancel()
        return f"{run.name} is cancelled, {_left(site, run, withdrawn)}; what has a result keeps it"

    return do


def _left(site: Site, run: RunHandle, withdrawn: int) -> str:
    pending = f"with {counted(run.progress().pending, 'item')} pending"
    if site.fleet.broker_url is None:
        return f"{pending}; workers drop what is in their queue"
    return f"{pending}, {withdrawn} taken out of the queue"


def _resume(site: Site, run: RunHandle, form: Mapping[str, str]) -> Callable[[], str]:
    del form

    def do() -> str:
        enqueued = run.resume()
        if run.progress().state is RunState.DONE:
            return f"{run.name} is done: nothing of it is pending"
        if site.fleet.broker_url is not None:
            return f"{run.name} goes on, {counted(enqueued, 'item is', 'items are')} enqueued"
        if fleet_state(None, [site.client.run(run.name).run]).beside:
            return f"{run.name} goes on: whoever works on it finds that within half a minute"
        return (
            f"{run.name} is active again, and nobody on this machine works on it: the next `persqa run` of its input "
            "goes on with it, as do the workers of the broker that it was submitted to"
        )

    return do


def _priority(site: Site, run: RunHandle, form: Mapping[str, str]) -> Callable[[], str]:
    wanted = form.get("priority", "")

    def do() -> str:
        moved = run.set_priority(wanted)
        said = f"{run.name} has {run.run.priority} priority"
        if site.fleet.broker_url is None:
            return f"{said}; what is in a queue stays where it is, as no broker is named"
        return f"{said}, {counted(moved, 'item in the queue was', 'items in the queue were')} moved"

    return do


def _requeue(site: Site, run: RunHandle, form: Mapping[str, str]) -> Callable[[], str]:
    recheck = bool(form.get("recheck"))
    status, items = _chosen(site, run, form)

    def do() -> str:
        done = run.requeue(status, items=items, recheck=recheck)
        others = 0 if items is None else len(items) - done.taken_back - done.wrong
        said = [f"{counted(done.taken_back, f'{status} item is', f'{status} items are')} asked again"]
        said += [f"{done.wrong} stay invalid, as their records are wrong in themselves"] if done.wrong else []
        said += [f"{others} had ended otherwise meanwhile, and stay as they are"] if others else []
        if done.taken_back and run.run.state is not RunState.ACTIVE:
            said.append(f"the run is {run.run.state}: resume it to go on")
        elif done.taken_back and site.fleet.broker_url is None:
            said.append("no broker is named here, so the next `persqa run` of the same input asks them")
        return "; ".join(said)

    return do


def _chosen(site: Site, run: RunHandle, form: Mapping[str, str]) -> tuple[str, list[int] | None]:
    """The status whose items are asked again, and which of them; None for all."""
    if number := form.get("asked"):
        asked = site.acts.asked(number)
        if asked is None or asked.run_id != run.run.id:
            raise SettingsError("nobody remembers which items these were: choose them again")
        return asked.status, asked.items.tolist()
    status = form.get("status", "")
    if status == Status.OK:
        raise SettingsError("all good answers of a run are taken back by `persqa requeue --status ok --yes` alone")
    return status, None


_VERBS: dict[str, Callable[[Site, RunHandle, Mapping[str, str]], Callable[[], str]]] = {
    "pause": _pause,
    "resume": _resume,
    "cancel": _cancel,
    "priority": _priority,
    "requeue": _requeue,
}


def _answer(request: Request, act: Act) -> Response:
    site: Site = request.app.state.site
    act.ended.wait(_PATIENCE_SECONDS)
    pending = None if act.ended.is_set() else site.client.run(act.run).progress().pending
    answer = site.page(request, _whole_or_part(request, "act"), act=act, pending=pending)
    if act.ended.is_set():
        # The lists on the page look at once.
        answer.headers["hx-trigger"] = "look"
    return answer


def _whole_or_part(request: Request, name: str) -> str:
    """A script wants the part that matters, and a browser without one a page around it."""
    return f"{name}_part.html" if request.headers.get("hx-request") else f"{name}.html"


def _form(request: Request) -> dict[str, str]:
    if int(request.headers.get("content-length", "0")) > _MOST_BYTES:
        raise HTTPException(413, "that is more than these pages ever send")
    return dict(parse_qsl(wait_for(request.body).decode("ascii", "replace"), keep_blank_values=True))


routes = [
    *(Route(f"/runs/{{run}}/{verb}", begin, methods=["POST"], name=verb) for verb in _VERBS),
    Route("/runs/{run}/cancel", ask_cancel, name="ask-cancel"),
    Route("/runs/{run}/requeue", ask_requeue, name="ask-requeue"),
    Route("/acts/{number}", act),
]
