"""What a person types and sees of a run that is there: every example of the help works as it stands."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from persqa.policies import Rung
from persqa.results import Outcome, Status
from persqa.store import Store
from persqa.tags import Tag
from persqa.verdicts import ViolationKind
from producer import Client
from producer.cli import app
from scripts.cli_docs import pages
from tests.support.builders import a_stored_run, a_violation, an_item, an_outcome
from tests.support.databases import with_tables

if TYPE_CHECKING:
    from typer.testing import Result

#: Options of examples that do not end, or need a server.
_ELSEWHERE = {"--watch", "--follow", "--broker-url", "--database-url"}
#: What is done to the run `portraits` without a broker.
_EXAMPLES = [
    example
    for name, page in pages()
    if name
    not in {
        "persqa",
        *(f"persqa {one}" for one in ("run", "pilot", "submit", "worker", "exporter", "ui", "serve", "doctor")),
    }
    for example in page.examples
    # Nobody can be asked here.
    if example != "persqa delete portraits" and not _ELSEWHERE & set(example.split())
]


@pytest.fixture
def portraits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a database with a run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PERSQA_DATABASE_URL", raising=False)
    store = Store.open(with_tables(Path("persqa.db")))
    _run, batch = a_stored_run(store, 5, "portraits")
    broken = (a_violation(batch[1], Rung.FREE, ViolationKind.LATE_TAG),)
    store.results.commit([an_outcome(batch[0]), Outcome(an_outcome(batch[1], Status.NONCOMPLIANT).result, broken)])
    store.results.commit([an_outcome(batch[2], Status.INVALID, answer=None)])
    store.close()
    with Client(database_url="sqlite:///persqa.db", local_worker=False) as client:
        client.open_run("camera")


def typed(line: str) -> Result:
    """What was typed after the prompt, with `300` of anything made few."""
    arguments = shlex.split(line.replace(" 300 ", " 2 "))
    return CliRunner().invoke(app, arguments[1:], catch_exceptions=False)


@pytest.mark.usefixtures("portraits")
@pytest.mark.parametrize("example", _EXAMPLES)
def test_every_example_does_what_it_says(example: str) -> None:
    if "resume" in example:
        assert typed(example.replace("resume", "pause")).exit_code == 0
    done = typed(example)
    assert done.exit_code == 0, done.output
    assert done.stdout or "--question" in example


@pytest.mark.usefixtures("portraits")
def test_results_name_their_items_and_records() -> None:
    heads, first, *_ = typed("persqa results portraits").stdout.splitlines()
    assert heads.split() == ["item", "id", "image", "question", "status", "answer"]
    assert first.split()[:3] == ["10000000000", "0", "a.png"]
    heads, first = typed("persqa results portraits --violations").stdout.splitlines()
    assert heads.split() == ["item", "id", "question", "rung", "kind", "text"]
    assert first.split()[:2] == ["10000000001", "1"]


@pytest.mark.usefixtures("portraits")
def test_a_record_is_an_object_in_python_as_for_scripts() -> None:
    lines = [json.loads(line) for line in typed("persqa results portraits --json").stdout.splitlines()]
    assert [line["record"] for line in lines] == [{"image": ["a.png"], "id": index} for index in range(5)]
    assert [line["record_id"] for line in lines] == list("01234")


def test_a_question_is_found_as_it_stands_in_its_pool_whatever_the_tag(store: Store) -> None:
    run, _ = a_stored_run(store, 2)
    own = replace(an_item(run.id, 3, question="Is it <a_b>?"), tag=Tag("<a_b>"))
    wrong = replace(an_item(run.id, 4, question=""), tag=Tag(""))
    store.ledger.add([an_item(run.id, 2, question="100% <mam>?"), own, wrong], [])

    def found(question: str) -> list[int]:
        return [row.position for row in store.queries.pairs(run, question=question)]

    assert found("Is it {tag}?") == [0, 1, 3]
    assert found("100% {tag}") == [2]
    assert found("Is it <a_b>") == [3]
    assert found("Was it {tag}?") == []
