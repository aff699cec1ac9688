"""`persqa status`: how far the runs are, and who works on them."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from persqa.clock import duration, seconds_since
from persqa.phases import Phase, in_words
from persqa.runs import Priority, RunState
from persqa.words import counted, to_type
from producer.cli import options
from producer.cli.expanding import expanded
from producer.cli.printing import console, plain, print_json, progress_dict, table

if TYPE_CHECKING:
    from persqa.broker.workers import WorkerInfo
    from persqa.progress import Progress
    from persqa.runs import Run
    from producer import Client
    from producer.cli.tables import Table

_WATCH_SECONDS = 2.0
#: Most runs in the table: drawing a row takes longer than looking it up.
_MOST_SHOWN = 100
#: Heads of counts, and their names among the facts.
_COUNTS = {
    "items": "submitted",
    **{name: name for name in ("ok", "noncompliant", "invalid", "dead", "pending")},
}


@expanded
def command(
    run: options.OneRun = None,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and look again every two seconds.")] = False,
    where: options.Where,
    as_json: options.AsJson = False,
) -> None:
    """Show how far the runs are, what waits, and who works.

    Of very many runs it shows those that are not done, and the newest. A worker is listed with what it is about, such
    as loading its model, and what it waits out, such as a full disk. What does not run has no rate.

    Examples:
        persqa status
        persqa status portraits --watch
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
    queries, rates = client.store.queries, client.store.rates
    if name is None:
        progresses, found = queries.progresses(), rates.present()
    else:
        (run,) = runs
        progresses, found = {run.id: queries.progress(run.id)}, {run.id: rates.of(run.id)}
    backlog = client.backlog(runs)
    # Somebody may have deleted one meanwhile.
    there = [run for run in runs if run.id in progresses]
    facts = [_run_facts(run, progresses[run.id], found.get(run.id)) for run in there]
    return {
        "runs": facts,
        **_worker_facts(client, facts),
        "queues": [asdict(queue) for queue in backlog.queues] if backlog else [],
        **({"held": backlog.held} if backlog else {}),
    }


def _run_facts(run: Run, progress: Progress, rate: float | None) -> dict[str, object]:
    return {
        "run": run.name,
        **progress_dict(progress),
        "items_per_second": round(rate, 2) if rate else None,
        "seconds_left": round(progress.pending / rate) if rate else None,
        "model": run.options.model,
        "priority": run.priority,
        "state": progress.state,
        "created_at": run.created_at.isoformat(timespec="seconds"),
    }


def _worker_facts(client: Client, runs: list[dict[str, Any]]) -> dict[str, object]:
    """The workers, and a sentence for each model, or any, that none of them serves and a run waits for."""
    if client.settings.broker_url is None:
        return {"workers": [], "warnings": []}
    from persqa.broker.workers import live_workers, unserved

    workers, ledger = live_workers(client.settings.broker_url), client.store.ledger.id
    ours = [worker for worker in workers if worker.ledger in (None, ledger)]
    waiting = [run for run in runs if run["pending"] and run["state"] is RunState.ACTIVE]
    said = [unserved(model, ours) for model in dict.fromkeys(run["model"] for run in waiting)]
    said += [
        f"{worker.name}: {one.sentence} ({duration(seconds_since(one.since))})"
        for worker in workers
        for one in worker.hindrances
    ]
    return {"workers": [_told(worker) for worker in workers], "warnings": [sentence for sentence in said if sentence]}


def _told(worker: WorkerInfo) -> dict[str, object]:
    hindrances = [{"sentence": one.sentence, "since": _moment(one.since)} for one in worker.hindrances]
    return {**asdict(worker), "since": _moment(worker.since), "hindrances": hindrances}


def _moment(when: datetime) -> str:
    return when.isoformat(timespec="seconds")


def _drawn(facts: dict[str, Any]) -> RenderableType:
    numbers = [*_COUNTS, "per s", "left"]
    runs = table(["run", *numbers, "state"], title="runs", keys=["run", "state"], numbers=numbers)
    shown = _most_wanted(facts["runs"])
    for fact in shown:
        runs.add_row(*map(plain, _run_cells(fact)))
    if not facts["runs"]:
        return Text(f"no run yet; start with: {to_type('persqa run INPUT')}")
    queues = table(["queue", "waiting", "oldest"], title="queues", names=["queue"], numbers=["waiting", "oldest"])
    for fact in facts["queues"]:
        if fact["waiting"]:
            age = fact["oldest_seconds"]
            queues.add_row(plain(fact["queue"]), plain(fact["waiting"]), _duration(age and round(age)))
    workers = _drawn_workers(facts["workers"])
    hidden = len(facts["runs"]) - len(shown)
    more = (
        [f"{counted(hidden, 'more run')}; --json tells of all, and {to_type('persqa status RUN')} of one"]
        if hidden
        else []
    )
    warnings = [Text.from_markup(f"[yellow]warning:[/] {plain(sentence)}") for sentence in facts["warnings"]]
    below = [part for table in (queues, workers) if table.row_count for part in ("", table)]
    return Group(runs, *more, *below, *warnings)


def _run_cells(fact: dict[str, Any]) -> list[object]:
    rate, priority = fact["items_per_second"], fact["priority"]
    state = fact["state"] if priority == Priority.NORMAL else f"{fact['state']}, {priority}"
    counts = [fact[name] for name in _COUNTS.values()]
    return [fact["run"], *counts, f"{rate:.1f}" if rate else None, _duration(fact["seconds_left"]), state]


def _most_wanted(facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The newest runs, those that are not done before all others."""
    wanted = sorted(facts, key=lambda fact: not fact["pending"])[:_MOST_SHOWN]
    names = {fact["run"] for fact in wanted}
    return [fact for fact in facts if fact["run"] in names]


def _drawn_workers(facts: list[dict[str, Any]]) -> Table:
    names, numbers = ["worker", "gpu", "model"], ["in flight", "window"]
    workers = table([*names, "phase", *numbers], title="workers", names=names, numbers=numbers)
    for fact in facts:
        phase = _phase(fact["phase"], datetime.fromisoformat(fact["since"]))
        cells = (fact["name"], _gpus(fact["gpus"]), fact["model"], phase, fact["in_flight"], fact["window"])
        workers.add_row(*map(plain, cells))
    return workers


def _phase(phase: Phase, since: datetime) -> str:
    """As in `loading the model: weights, 0:12`."""
    passed = "" if phase is Phase.READY else f", {duration(seconds_since(since))}"
    return f"{in_words(phase)}{passed}"


def _gpus(gpus: list[dict[str, str]]) -> str:
    """As in `0+1 NVIDIA L4`; the GPUs of one worker are of one kind."""
    return f"{'+'.join(gpu['number'] for gpu in gpus)} {gpus[0]['name']}" if gpus else ""


def _duration(seconds: object) -> str:
    return duration(seconds) if isinstance(seconds, int) else ""
