"""A page to send, as the command and Python write it; what a browser makes of it is in tests/browser."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from persqa.errors import InputError, SettingsError
from persqa.items import Item
from persqa.policies import Rung
from persqa.results import Outcome, Status, Violation
from persqa.runs import parse_options
from persqa.settings import load_settings
from persqa.verdicts import ViolationKind
from producer import Client, RunHandle
from producer.cli import main
from tests.support.answered import picture
from tests.support.builders import a_violation, an_item, an_outcome
from tests.support.databases import with_tables
from tests.support.hostile_rows import SCRIPT, TEXTS, a_hostile_run


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with Client(load_settings(database_url=with_tables(tmp_path / "persqa.db")), local_worker=False) as client:
        yield client


def _stored(client: Client, folder: Path, items: int, *, kind: str = "a.png") -> RunHandle:
    """A run with one picture: of ten items one each is noncompliant, dead and pending, and one was forced."""
    if kind == "a.png":
        picture(folder / "a.png", 90)
    run = client.store.runs.create(
        "people",
        options=parse_options(seed=7, model="a/model"),
        pool_digest="p",
        fingerprint="f",
        base=str(folder),
        item_count=items,
    )
    every = [an_item(run.id, index, images=(kind,)) for index in range(items)]
    client.store.ledger.add(every, [])
    client.store.results.commit([ended for item in every if (ended := _ended(item)) is not None])
    return client.run("people")


def _ended(item: Item) -> Outcome | None:
    match item.position % 10:
        case 0:
            return None
        case 1:
            broken = a_violation(item, Rung.FREE, ViolationKind.LATE_TAG)
            return _with(an_outcome(item, Status.NONCOMPLIANT, answer="Well, <mam> is.", reason="late_tag"), broken)
        case 2:
            return an_outcome(item, Status.DEAD, answer=None, reason="time_limit", detail="it took too long")
        case 3:
            broken = a_violation(item, Rung.FREE, ViolationKind.MISSING_TAG)
            return _with(an_outcome(item, answer=f"<mam> is {item.position}.", rung=Rung.PREFILL), broken)
        case _:
            return an_outcome(item, answer=f"<mam> is {item.position}.")


def _with(outcome: Outcome, *broken: Violation) -> Outcome:
    return Outcome(outcome.result, broken)


def _statuses(page: Path) -> list[str]:
    return re.findall(r'<article class="pair" data-status="(\w+)"', page.read_text())


def test_a_page_has_all_items_with_an_answer_where_they_are_few(client: Client, tmp_path: Path) -> None:
    run = _stored(client, tmp_path, 100)
    assert run.export(tmp_path / "page.html", gallery=True) == 90
    text = (tmp_path / "page.html").read_text()
    assert _statuses(tmp_path / "page.html").count("ok") == 70
    assert text.count("data:image/jpeg;base64,") == 90
    assert "It shows all 90 ended items: 70 ok, 10 dead and 10 noncompliant." in text
    # Of the 80 that were judged 60 kept the rule by themselves, and 70 in the end.
    assert re.search(r"attire.*?>80<.*?>75\.0 %<.*?>87\.5 %<", text)
    assert "late_tag 10, missing_tag 10" in text
    for said in ("a/model", "pending 10 (10.0 %)", '<th scope="row">seed</th><td class="words">7</td>'):
        assert said in text
    # Folders of this machine are nobody's who gets it.
    assert str(tmp_path) not in text
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', text)
    assert policy is not None
    assert policy[1].startswith("default-src &#x27;none&#x27;; img-src data:; style-src &#x27;sha256-")


def test_a_sample_is_the_same_each_time_and_has_what_failed(client: Client, tmp_path: Path) -> None:
    run = _stored(client, tmp_path, 400)
    for name in ("one.html", "two.html"):
        assert run.export(tmp_path / name, gallery=True, sample=20) == 20
    one, two = ((tmp_path / name).read_text().partition("<article")[2] for name in ("one.html", "two.html"))
    assert one == two
    found = _statuses(tmp_path / "one.html")
    assert found.count("noncompliant") >= 5
    assert found.count("dead") >= 5
    assert run.export(tmp_path / "dead.html", gallery=True, only="dead", sample=20) == 20
    assert set(_statuses(tmp_path / "dead.html")) == {"dead"}
    assert run.export(tmp_path / "waiting.html", gallery=True, only="pending") == 40
    assert "It shows all 40 pending items: 40 pending." in (tmp_path / "waiting.html").read_text()


def test_a_picture_that_is_not_there_is_said_without_a_folder_of_this_machine(client: Client, tmp_path: Path) -> None:
    run = _stored(client, tmp_path, 10, kind="gone.jpg")
    run.export(tmp_path / "page.html", gallery=True)
    text = (tmp_path / "page.html").read_text()
    assert "gone.jpg: no picture (not_found)" in text
    assert str(tmp_path) not in text


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("page.html", {"with_meta": True}, "with_meta does not go with gallery=True: leave it out"),
        ("page.html", {"chat": "trl"}, "chat does not go with gallery=True"),
        ("page.html", {"paths": "copy"}, "paths does not go with gallery=True"),
        ("page.html", {"output_key": "x"}, "output_key does not go with gallery=True"),
        ("page.html", {"file_format": "json"}, "file_format does not go with gallery=True"),
        ("page.html", {"sample": 0}, "sample: a page shows at least 1 item, and not 0"),
        ("page.html", {"only": "good"}, "there is no status 'good'"),
        ("page.json", {}, "name it page.html"),
        ("there.html", {}, "there.html exists: overwrite=True replaces it"),
        ("rows.json", {"gallery": None, "sample": 3}, "sample is for a page: say gallery=True, too"),
        ("page.html", {"gallery": None}, "this is that of a page: say gallery=True"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    client: Client, tmp_path: Path, name: str, options: dict[str, Any], said: str
) -> None:
    run = _stored(client, tmp_path, 10)
    given: dict[str, Any] = {"gallery": True, **options}
    (tmp_path / "there.html").write_text("mine")
    with pytest.raises((SettingsError, InputError), match=re.escape(said)):
        run.export(tmp_path / name, **given)
    assert (tmp_path / "there.html").read_text() == "mine"
    assert not list(tmp_path.glob(".*part*"))


def test_the_command_says_what_the_page_shows_and_how_large_it_is(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _stored(client, tmp_path, 20)
    monkeypatch.setenv("PERSQA_DATABASE_URL", client.settings.database_url)
    page = tmp_path / "page.html"
    monkeypatch.setattr("sys.argv", ["persqa", "export", "people", str(page), "--gallery", "--sample", "5", "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert json.loads(capsys.readouterr().out) == {
        "run": "people", "file": str(page), "rows": 5, "bytes": page.stat().st_size,
    }  # fmt: skip


def test_hostile_texts_are_text_in_a_page(client: Client, tmp_path: Path) -> None:
    run = a_hostile_run(client, tmp_path / "data")
    assert run.export(tmp_path / "page.html", gallery=True) == len(TEXTS)
    text = (tmp_path / "page.html").read_text()
    assert SCRIPT not in text
    assert text.count("<script") == 1
    assert "\u202e" not in text
    # A megabyte in each of five places.
    assert len(text) < 200_000


def test_memory_does_not_grow_with_the_items_of_a_page(client: Client, tmp_path: Path) -> None:
    run = _stored(client, tmp_path, 2_000, kind="gone.jpg")

    def most(sample: int) -> int:
        tracemalloc.start()
        try:
            run.export(tmp_path / "page.html", gallery=True, sample=sample, overwrite=True)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    most(10)  # whatever is loaded once is loaded now
    # Of each a few numbers are kept, and no text: held, their cards would be several megabytes.
    assert most(1_500) < most(300) + 2**20
    assert len(_statuses(tmp_path / "page.html")) == 300
