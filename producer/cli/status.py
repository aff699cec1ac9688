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
from producer.cli import EXIT_INFRASTRUCTURE, options
from producer.cli.expanding import expanded
from producer.cli.printing import console, flags_table, plain, print_json, table, whole_line
from producer.spot_checks import sentences
from producer.status import fleet_status, one_status, statuses

if TYPE_CHECKING:
    from producer import Client, RunHandle
    from producer.cli.tables import Table
    from producer.status import WorkerStatus

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
    as loading its model, and what it waits out, such as a full disk; without a broker's name that is the worker of a
    `persqa run` on this machine. What does not run has no rate. Where Redis does not answer, what the database knows is
    shown all the same, and the exit code is 3.

    Examples:
        persqa status
        persqa status portraits --watch
    """
    with where.client() as client:
        if as_json or not watch:
            facts, answers = _facts(client, run)
            if as_json:
                print_json(facts)
            else:
                console.print(_drawn(facts), crop=False)
            if not answers:
                raise typer.Exit(EXIT_INFRASTRUCTURE)
        else:
            from rich.live import Live

            with Live(_drawn(_facts(client, run)[0], fold=True), console=console, auto_refresh=False) as live:
                while True:
                    time.sleep(_WATCH_SECONDS)
                    live.update(_drawn(_facts(client, run)[0], fold=True), refresh=True)


def _facts(client: Client, name: str | None) -> tuple[dict[str, Any], bool]:
    """What there is to show, and whether the broker answers, if one is named."""
    runs = statuses(client.store) if name is None else [one_status(client.store, client.run(name).run)]
    fleet = fleet_status(client.store, client.settings.broker_url, runs)
    return {
        "runs": [one.facts() for one in runs],
        "workers": [_told(worker) for worker in fleet.workers],
        "warnings": fleet.warnings,
        "queues": [asdict(queue) for queue in fleet.queues],
        **({} if name is None else _checked(client.run(name))),
        **({} if fleet.held is None else {"held": fleet.held}),
    }, fleet.answers


def _checked(handle: RunHandle) -> dict[str, object]:
    """What the spot checks of a run say, if it has any."""
    if not handle.run.options.spot_check:
        return {}
    found = handle.spot_checks()
    return {"spot_checks": {**asdict(found), "sentences": sentences(found)}}


def _told(worker: WorkerStatus) -> dict[str, object]:
    told = worker.info
    hindrances = [{"sentence": one.sentence, "since": _moment(one.since)} for one in told.hindrances]
    more = {"since": _moment(told.since), "hindrances": hindrances, "other_database": worker.other_database}
    return {**asdict(told), **more}


def _moment(when: datetime) -> str:
    return when.isoformat(timespec="seconds")


def _drawn(facts: dict[str, Any], *, fold: bool = False) -> RenderableType:
    """What there is to show.

    Args:
        facts: what is known.
        fold: break all lines, also those with commands to type, since they would be cut otherwise.
    """
    line = Text.from_markup if fold else whole_line
    numbers = [*_COUNTS, "per s", "left"]
    runs = table(["run", *numbers, "state"], title="runs", keys=["run", "state"], numbers=numbers)
    shown = _most_wanted(facts["runs"])
    for fact in shown:
        runs.add_row(*map(plain, _run_cells(fact)))
    if not facts["runs"]:
        return line(f"no run yet; start with: {plain(to_type('persqa run INPUT'))}")
    queues = table(["queue", "waiting", "oldest"], title="queues", names=["queue"], numbers=["waiting", "oldest"])
    for fact in facts["queues"]:
        if fact["waiting"]:
            age = fact["oldest_seconds"]
            queues.add_row(plain(fact["queue"]), plain(fact["waiting"]), _duration(age and round(age)))
    workers = _drawn_workers(facts["workers"])
    hidden = len(facts["runs"]) - len(shown)
    more = (
        [line(f"{counted(hidden, 'more run')}; --json tells of all, and {plain(to_type('persqa status RUN'))} of one")]
        if hidden
        else []
    )
    warnings = [line(f"[yellow]warning:[/] {plain(sentence)}") for sentence in facts["warnings"]]
    stops = [
        line(f"{plain(fact['run'])}: {plain(fact['stopped'])}; to go on: {plain(_resume(fact['run']))}")
        for fact in shown
        if fact["stopped"]
    ]
    flagged = [flags_table(fact["flags"], fact["ok"] + fact["noncompliant"]) for fact in shown[:1] if len(shown) == 1]
    below = [part for table in (*flagged, queues, workers) if table.row_count for part in ("", table)]
    checked = [Text(f"spot check {said}") for said in facts.get("spot_checks", {}).get("sentences", [])]
    return Group(runs, *more, *(["", *checked] if checked else []), *stops, *below, *warnings)


def _resume(run: str) -> str:
    return to_type(f"persqa resume {run}")


def _run_cells(fact: dict[str, Any]) -> list[object]:
    rate, priority = fact["items_per_second"], fact["priority"]
    more = [str(RunState.OPEN)] * bool(fact["open"] and fact["state"] != RunState.OPEN)
    more += [priority] * (priority != Priority.NORMAL)
    state: str = ", ".join([fact["state"], *more])
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
        phase += ", of another database" if fact["other_database"] else ""
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
