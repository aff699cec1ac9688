"""`persqa status`: how far the runs are, and who works on them."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from persqa.broker.keys import queue_for
from persqa.runs import RunState
from producer.cli import options
from producer.cli.expanding import expanded
from producer.cli.printing import console, plain, print_json, progress_dict, table

if TYPE_CHECKING:
    from persqa.progress import Progress
    from persqa.runs import Run
    from producer import Client

_WATCH_SECONDS = 2.0
#: Most runs in the table: drawing a row takes longer than looking it up.
_MOST_SHOWN = 100


@expanded
def command(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="One run; all of them if left out.")] = None,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and look again every two seconds.")] = False,
    where: options.Where,
    as_json: options.AsJson = False,
) -> None:
    """Show progress, rate, time left, queue depth and workers; of many runs those that are not done, and the newest.

    Example: persqa status portraits --watch
    """
    with where.client() as client:
        if as_json:
            print_json(_facts(client, run))
        elif not watch:
            console.print(_drawn(_facts(client, run)))
        else:
            from rich.live import Live

            with Live(_drawn(_facts(client, run)), console=console, auto_refresh=False) as live:
                while True:
                    time.sleep(_WATCH_SECONDS)
                    live.update(_drawn(_facts(client, run)), refresh=True)


def _facts(client: Client, name: str | None) -> dict[str, Any]:
    # However many runs there are, the database is asked as often, and Redis once.
    runs = [handle.run for handle in (client.runs() if name is None else [client.run(name)])]
    queries = client.store.queries
    if name is None:
        progresses, rates = queries.progresses(), queries.rates()
    else:
        (run,) = runs
        progresses, rates = {run.id: queries.progress(run.id)}, {run.id: queries.rate(run.id)}
    backlog = client.backlog(runs)
    waiting = {queue.queue: queue.waiting for queue in backlog.queues} if backlog else {}
    facts = [_run_facts(run, progresses[run.id], rates.get(run.id, 0.0), waiting) for run in runs]
    return {
        "runs": facts,
        **_worker_facts(client, facts),
        "queues": [asdict(queue) for queue in backlog.queues] if backlog else [],
        **({"held": backlog.held} if backlog else {}),
    }


def _run_facts(run: Run, progress: Progress, rate: float, waiting: dict[str, int]) -> dict[str, object]:
    # A run that is done has nothing in its queue, which other runs may share.
    queued = waiting.get(queue_for(run.options.model, run.priority)) if progress.pending else None
    return {
        "run": run.name,
        **progress_dict(progress),
        "items_per_second": round(rate, 2) if progress.pending else 0.0,
        "seconds_left": round(progress.pending / rate) if progress.pending and rate else None,
        "queued": queued,
        "model": run.options.model,
        "priority": run.priority,
        "state": progress.state,
        "created_at": run.created_at.isoformat(timespec="seconds"),
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
    shown = _most_wanted(facts["runs"])
    for fact in shown:
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
    hidden = len(facts["runs"]) - len(shown)
    more = [f"{hidden} more runs; --json tells of all, and persqa status RUN of one"] if hidden else []
    warnings = [Text.from_markup(f"[yellow]warning:[/] {plain(sentence)}") for sentence in facts["warnings"]]
    return Group(runs, *more, *(part for part in (queues, workers) if part.row_count), *warnings)


def _most_wanted(facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The newest runs, those that are not done before all others."""
    wanted = sorted(facts, key=lambda fact: not fact["pending"])[:_MOST_SHOWN]
    names = {fact["run"] for fact in wanted}
    return [fact for fact in facts if fact["run"] in names]


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
