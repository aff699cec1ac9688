"""`persqa status`: how far the runs are, and who works on them."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from persqa.runs import RunState
from producer import Client, RunHandle
from producer.cli import options
from producer.cli.expanding import expanded
from producer.cli.printing import console, plain, print_json, progress_dict, table

_WATCH_SECONDS = 2.0


@expanded
def command(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="One run; all of them if left out.")] = None,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and look again every two seconds.")] = False,
    where: options.Where,
    as_json: options.AsJson = False,
) -> None:
    """Show progress, rate, time left, queue depth and workers.

    Example: persqa status portraits --watch
    """
    with where.client() as client:
        if as_json:
            print_json(_facts(client, run))
        elif not watch:
            console.print(_drawn(_facts(client, run)))
        else:
            with Live(_drawn(_facts(client, run)), console=console, auto_refresh=False) as live:
                while True:
                    time.sleep(_WATCH_SECONDS)
                    live.update(_drawn(_facts(client, run)), refresh=True)


def _facts(client: Client, name: str | None) -> dict[str, Any]:
    handles = client.runs() if name is None else [client.run(name)]
    runs = [_run_facts(handle) for handle in handles]
    return {"runs": runs, **_worker_facts(client, runs), **_queue_facts(client, handles)}


def _queue_facts(client: Client, handles: list[RunHandle]) -> dict[str, object]:
    backlog = client.backlog(handle.run for handle in handles)
    return {"queues": [asdict(queue) for queue in backlog.queues], "held": backlog.held} if backlog else {"queues": []}


def _run_facts(handle: RunHandle) -> dict[str, object]:
    progress = handle.progress()
    # Other runs may share the queue; a run that is done has nothing in it.
    depth = handle.depth() if progress.pending else None
    rate = handle.rate() if progress.pending else 0.0
    return {
        "run": handle.name,
        **progress_dict(progress),
        "items_per_second": round(rate, 2),
        "seconds_left": round(progress.pending / rate) if rate else None,
        "queued": depth.waiting if depth else None,
        "model": handle.run.options.model,
        "priority": handle.run.priority,
        "state": progress.state,
        "created_at": handle.run.created_at.isoformat(timespec="seconds"),
    }


def _worker_facts(client: Client, runs: list[dict[str, Any]]) -> dict[str, object]:
    """The workers, and a sentence for each model that none of them serves and a run waits for."""
    if client.settings.broker_url is None:
        return {"workers": [], "warnings": []}
    from persqa.broker.workers import live_workers, unserved

    workers = live_workers(client.settings.broker_url)
    waiting = [run for run in runs if run["pending"] and run["state"] is RunState.ACTIVE and run["model"] is not None]
    said = (unserved(model, workers) for model in dict.fromkeys(run["model"] for run in waiting))
    return {"workers": [asdict(worker) for worker in workers], "warnings": [sentence for sentence in said if sentence]}


def _drawn(facts: dict[str, Any]) -> RenderableType:
    counts = ["submitted", "ok", "noncompliant", "invalid", "dead", "pending", "queued"]
    numbers = [*counts, "items/s", "left"]
    runs = table(["run", *numbers, "priority", "state"], title="runs", numbers=numbers)
    for fact in facts["runs"]:
        rate, left = fact["items_per_second"] or None, _duration(fact["seconds_left"])
        cells = (fact["run"], *(fact[name] for name in counts), rate, left, fact["priority"], fact["state"])
        runs.add_row(*map(plain, cells))
    if not facts["runs"]:
        return "no run yet; start with: persqa run INPUT"
    queues = table(["queue", "waiting", "oldest"], title="queues", numbers=["waiting", "oldest"])
    for fact in facts["queues"]:
        if fact["waiting"]:
            age = fact["oldest_seconds"]
            queues.add_row(plain(fact["queue"]), plain(fact["waiting"]), _duration(age and round(age)))
    workers = _drawn_workers(facts["workers"])
    warnings = [Text.from_markup(f"[yellow]warning:[/] {plain(sentence)}") for sentence in facts["warnings"]]
    return Group(*(shown for shown in (runs, queues, workers) if shown.row_count), *warnings)


def _drawn_workers(facts: list[dict[str, Any]]) -> Table:
    gpus = ["gpu"] if any(fact["gpus"] for fact in facts) else []
    workers = table(["worker", *gpus, "model", "in flight", "window"], title="workers", numbers=["in flight", "window"])
    for fact in facts:
        shown = [plain(_gpus(fact["gpus"]))] if gpus else []
        workers.add_row(plain(fact["name"]), *shown, *(plain(fact[name]) for name in ("model", "in_flight", "window")))
    return workers


def _gpus(gpus: list[dict[str, str]]) -> str:
    """As in `0+1 NVIDIA L4`; the GPUs of one worker are of one kind."""
    return f"{'+'.join(gpu['number'] for gpu in gpus)} {gpus[0]['name']}" if gpus else ""


def _duration(seconds: object) -> str:
    if not isinstance(seconds, int):
        return ""
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
