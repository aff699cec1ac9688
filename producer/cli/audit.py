"""`persqa audit`: proves that no item is lost or doubled."""

from __future__ import annotations

import typer

from persqa.audit import Audit
from persqa.errors import BrokerUnavailable
from persqa.results import Status
from producer.cli import options
from producer.cli.expanding import expanded
from producer.cli.printing import console, plain, print_json, say, table


@expanded
def command(
    run: options.OneRun = None,
    *,
    where: options.Where,
    as_json: options.AsJson = False,
) -> None:
    """Prove that no item is lost or doubled.

    It counts row by row: submitted = ok + noncompliant + invalid + dead + pending. With a broker it also looks whether
    every pending item that was enqueued is in the queue or with a worker. Exit code 1 says that something does not
    hold; the items that break it are named. With 3 the sums hold, and Redis does not answer.

    Examples:
        persqa audit
        persqa audit portraits --json
    """
    with where.client() as client:
        handles = client.runs() if run is None else [client.run(run)]
        audits, away = list[Audit](), None
        for handle in handles:
            try:
                audits.append(handle.audit(queue=away is None))
            except BrokerUnavailable as error:
                away = error
                audits.append(handle.audit(queue=False))
        letters = client.store.dead_letters.counts()
    if as_json:
        print_json([_facts(audit) for audit in audits])
    else:
        _print(audits, named=client.settings.broker_url is not None)
        if letters:
            kinds = ", ".join(f"{number} {reason}" for reason, number in letters.items())
            say(f"messages that nobody could answer, in the table dead_letters: {kinds}")
    if not all(audit.holds for audit in audits):
        raise typer.Exit(1)
    if away is not None:
        raise BrokerUnavailable(f"{away}; pending items were not looked for in its queues") from away


def _facts(audit: Audit) -> dict[str, object]:
    return {
        "run": audit.run.name,
        **audit.census.rows.counts,
        "holds": audit.holds,
        "queue_checked": audit.queue_checked,
        "problems": list(audit.problems),
    }


def _print(audits: list[Audit], *, named: bool) -> None:
    counted = ["submitted", *Status, "pending"]
    sums = table(["run", *counted, "holds"], keys=["run", "holds"], numbers=counted)
    for audit in audits:
        counts = audit.census.rows.counts
        verdict = "[green]yes[/]" if audit.holds else "[red]no[/]"
        sums.add_row(plain(audit.run.name), *(str(counts[name]) for name in counted), verdict)
    console.print(sums if audits else "no run yet")
    for audit in audits:
        for problem in audit.problems:
            say(f"[red]{plain(audit.run.name)}:[/] {plain(problem)}")
    if not named and any(audit.census.pending for audit in audits):
        console.print("[dim]no broker is named, so pending items were not looked for in a queue[/]")
