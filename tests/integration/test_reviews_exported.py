"""From what a person says of results to what is exported: in Python and on the command line."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from persqa.errors import RunNotFound, RunStopped, SettingsError
from persqa.policies import Rung
from persqa.results import Status
from persqa.settings import load_settings
from persqa.verdicts import ViolationKind
from producer import Client
from producer.cli import app
from tests.support.builders import a_stored_run, an_outcome
from tests.support.exporting import data_set, parquet_rows, read_json
from tests.support.looking import bound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from producer import RunHandle

_ACCEPTED, _REJECTED, _EDITED, _WRONG, _PENDING, _DEAD = range(6)


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    with Client(load_settings(database_url=database_url), local_worker=False) as opened:
        yield opened


@pytest.fixture
def reviewed(client: Client) -> RunHandle:
    """A run with an item of each kind; those that are edited are noncompliant and dead."""
    _, batch = a_stored_run(client.store, 6, "people")
    late = {"reason": ViolationKind.LATE_TAG, "rung": Rung.FREE}
    client.store.results.commit(
        [
            an_outcome(batch[_ACCEPTED]),
            an_outcome(batch[_REJECTED]),
            an_outcome(batch[_EDITED], Status.NONCOMPLIANT, answer="Red, <mam>.", **late),
            an_outcome(batch[_WRONG], Status.NONCOMPLIANT, answer="It is <mam>.", **late),
            an_outcome(batch[_DEAD], Status.DEAD, answer=None),
        ]
    )
    run = client.run("people")
    run.review([batch[_ACCEPTED].id], decision="accepted", starred=True, reviewer="ann")
    run.review([batch[_REJECTED].id], decision="rejected", note="blurred", reviewer="bob")
    run.review([batch[_EDITED].id], answer="<mam> wears <b>red</b>.", decision="accepted", reviewer="ann")
    run.review([batch[_DEAD].id], answer="red", reviewer="ann")
    return run


def positions(run: RunHandle, review: str) -> list[int]:
    return [row.position for row in run.results(review=review)]


def persqa(database_url: str, *arguments: str) -> str:
    done = CliRunner().invoke(app, [*arguments, "--database-url", database_url], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_results_are_found_by_what_is_said_of_them(reviewed: RunHandle) -> None:
    assert positions(reviewed, "accepted") == [_ACCEPTED, _EDITED]
    assert positions(reviewed, "rejected") == [_REJECTED]
    assert positions(reviewed, "not-rejected") == [_ACCEPTED, _EDITED, _WRONG, _PENDING, _DEAD]
    assert positions(reviewed, "edited") == [_EDITED, _DEAD]
    assert positions(reviewed, "starred") == [_ACCEPTED]
    assert positions(reviewed, "none") == [_WRONG, _PENDING]
    (row,) = reviewed.results(review="edited", status="noncompliant")
    assert (row.answer, row.edited_answer) == ("Red, <mam>.", "<mam> wears <b>red</b>.")
    assert (row.review, row.starred, row.note, row.reviewer) == ("accepted", False, "", "ann")
    with pytest.raises(SettingsError, match="no review 'acepted'; did you mean accepted"):
        reviewed.results(review="acepted")


def test_an_export_goes_by_reviews_where_that_is_said(reviewed: RunHandle, tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"

    def exported(**options: Any) -> dict[int, Any]:
        reviewed.export(file, overwrite=True, **options)
        return {record["id"]: record["output"] for record in read_json(file)}

    everything = exported()
    assert (everything[_REJECTED], everything[_EDITED]) == ("<mam> wears red.", "Red, <mam>.")
    accepted = {_ACCEPTED: "<mam> wears red.", _EDITED: "<mam> wears <b>red</b>."}
    assert exported(reviewed="accepted") == accepted
    kept = {**accepted, _WRONG: "It is <mam>.", _PENDING: None, _DEAD: "red"}
    assert exported(reviewed="not-rejected") == kept
    assert exported(reviewed="not-rejected", only="dead") == {_DEAD: "red"}
    with pytest.raises(SettingsError, match="no review to export by 'edited'; choose accepted or not-rejected"):
        reviewed.export(tmp_path / "other.jsonl", reviewed="edited")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", ["out.parquet", "out.csv.gz", "out"])
def test_every_format_has_the_answers_of_people(reviewed: RunHandle, tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    options: dict[str, Any] = {"file_format": "hf"} if name == "out" else {}
    assert reviewed.export(target, reviewed="accepted", with_meta=True, **options) == 2
    rows: list[Any]
    if name == "out.csv.gz":
        with gzip.open(target, "rt") as file:
            rows = [{**row, "persqa": json.loads(row["persqa"])} for row in csv.DictReader(file)]
    else:
        rows = parquet_rows(target) if name.endswith(".parquet") else list(data_set(target))
    assert [row["output"] for row in rows] == ["<mam> wears red.", "<mam> wears <b>red</b>."]
    assert [row["persqa"]["model_answer"] for row in rows] == [None, "Red, <mam>."]
    assert [row["persqa"]["starred"] for row in rows] == [True, False]


def test_the_origin_of_an_answer_has_what_people_said(reviewed: RunHandle, tmp_path: Path) -> None:
    names = ("status", "verdict", "review", "starred", "note", "reviewer", "model_answer")

    def origins(**options: Any) -> dict[int, tuple[Any, ...]]:
        reviewed.export(tmp_path / "out.jsonl", with_meta=True, overwrite=True, **options)
        return {row["id"]: tuple(row["persqa"][name] for name in names) for row in read_json(tmp_path / "out.jsonl")}

    assert origins(reviewed="not-rejected") == {
        _ACCEPTED: ("ok", "compliant", "accepted", True, None, "ann", None),
        _EDITED: ("noncompliant", "compliant", "accepted", False, None, "ann", "Red, <mam>."),
        _WRONG: ("noncompliant", "late_tag", None, False, None, None, None),
        _PENDING: ("pending", None, None, False, None, None, None),
        _DEAD: ("dead", "missing_tag", None, False, None, "ann", None),
    }
    plain = origins()
    assert plain[_EDITED] == ("noncompliant", "late_tag", "accepted", False, None, "ann", None)
    assert plain[_REJECTED] == ("ok", "compliant", "rejected", False, "blurred", "bob", None)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_dialogues_have_what_people_accepted_or_wrote(reviewed: RunHandle, tmp_path: Path) -> None:
    def answers(**options: Any) -> dict[str, str]:
        reviewed.export(tmp_path / "out.json", overwrite=True, **options)
        dialogues = read_json(tmp_path / "out.json")
        return {
            one["id"]: next(iter(one["messages" if options["chat"] == "trl" else "conversations"][1:]))
            for one in dialogues
        }

    good = {"from": "gpt", "value": "<mam> wears red."}
    mine = {"from": "gpt", "value": "<mam> wears <b>red</b>."}
    assert answers(chat=True) == {"0": good, "1": good}
    assert answers(chat=True, reviewed="accepted") == {"0": good, "2": mine}
    assert answers(chat=True, reviewed="not-rejected") == {"0": good, "2": mine, "5": {"from": "gpt", "value": "red"}}
    trl = {"role": "assistant", "content": "<mam> wears <b>red</b>."}
    assert answers(chat="trl", reviewed="accepted", only="noncompliant") == {"2": trl}
    (item,) = (row.item_id for row in reviewed.results(review="edited", status="dead"))
    reviewed.review([item], answer="<image> is red")
    left: list[str] = []
    reviewed.export(tmp_path / "o.json", chat=True, reviewed="not-rejected", on_left=lambda one: left.append(one.why))
    assert left == ["record 6: <image> in its answer, which trainers do not take for text"]


def test_many_are_reviewed_and_that_is_undone(reviewed: RunHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "carl")
    ids = [row.item_id for row in reviewed.results()]
    before = [(row.review, row.starred, row.note, row.reviewer) for row in reviewed.results()]
    done = reviewed.review(ids, decision="rejected")
    assert done.items == tuple(ids[place] for place in (_ACCEPTED, _EDITED, _WRONG, _DEAD))
    assert {row.reviewer for row in reviewed.results(review="rejected")} == {"carl", "bob"}
    reviewed.review(ids[:1], note="mine")
    assert reviewed.undo_review(done.action) == 3
    after = [(row.review, row.starred, row.note, row.reviewer) for row in reviewed.results()]
    assert after[1:] == before[1:]
    assert after[0] == ("rejected", True, "mine", "carl")
    assert [one.decision for one in reviewed.earlier_reviews(ids[_EDITED])] == ["rejected"]
    assert reviewed.undo_review("no such action") == 0
    (row,) = reviewed.results(item=ids[_WRONG])
    assert row.finished_at is not None
    assert reviewed.review(ids, seen=row.finished_at - timedelta(days=1), starred=True).items == ()
    assert reviewed.review(ids, seen={row.item_id: row.finished_at}, starred=True).items == (row.item_id,)


def test_what_cannot_be_said_is_refused(client: Client, reviewed: RunHandle) -> None:
    own = next(reviewed.results()).item_id
    _, others = a_stored_run(client.store, 1, "other")
    wrong: tuple[tuple[list[int], dict[str, Any], str], ...] = (
        ([own, others[0].id], {"starred": True}, "the run 'people' has no item 2"),
        ([own, -1], {"starred": True}, "the run 'people' has no item -1"),
        ([own], {}, "say what is reviewed: decision, answer, starred or note"),
        ([own], {"decision": "reject"}, "there is no decision 'reject'; did you mean rejected?"),
        ([own], {"stared": True}, "there is no part of a review 'stared'; did you mean starred?"),
    )
    for items, said, message in wrong:
        with pytest.raises(SettingsError, match=message.replace("?", r"\?")):
            reviewed.review(items, **said)
    assert reviewed.earlier_reviews(own) == []
    client.store.deletion.begin(reviewed.run)
    with pytest.raises(RunStopped, match="is being deleted"):
        reviewed.review([own], starred=True)
    reviewed.delete()
    with pytest.raises(RunNotFound):
        reviewed.undo_review("any")


def test_an_edit_is_told_how_it_breaks_the_rule(reviewed: RunHandle) -> None:
    item = next(reviewed.results()).item_id
    assert reviewed.breaks_tag_rule(item, "<mam> smiles.") is None
    assert reviewed.breaks_tag_rule(item, "A smile of <mam>.") is ViolationKind.LATE_TAG
    assert reviewed.breaks_tag_rule(item, " ") is ViolationKind.EMPTY
    with pytest.raises(SettingsError, match="has no item 5"):
        reviewed.breaks_tag_rule(5, "<mam> smiles.")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("reviewed")
def test_the_command_line_shows_reviews(client: Client, database_url: str, tmp_path: Path) -> None:
    run = client.run("people")
    heads, *rows = persqa(database_url, "results", "people", "--review", "edited").splitlines()
    assert heads.split() == ["item", "id", "image", "question", "status", "rung", "review", "answer"]
    assert rows[0].split()[-4:] == ["edited", "<mam>", "wears", "<b>red</b>."]
    lines = persqa(database_url, "results", "people", "--review", "rejected", "--json").splitlines()
    assert [(one["review"], one["note"]) for one in map(json.loads, lines)] == [("rejected", "blurred")]
    (item,) = (row.item_id for row in run.results(review="rejected"))
    run.review([item], decision="accepted", note="", answer="<mam> smiles.", reviewer="ann")
    shown = persqa(database_url, "results", "people", "--item", str(item))
    for words in ("review accepted, edited", "edited answer <mam> smiles.", "reviewer ann", "earlier reviews"):
        assert words in " ".join(shown.split())
    last = next(line for line in shown.splitlines() if "blurred" in line)
    assert last.split()[2:5] == ["bob", "rejected", "blurred"]
    facts = json.loads(persqa(database_url, "results", "people", "--item", str(item), "--json"))
    assert [(one["reviewer"], one["decision"]) for one in facts["earlier_reviews"]] == [("bob", "rejected")]
    said = persqa(database_url, "export", "people", str(tmp_path / "out.jsonl"))
    assert f"6 rows written to {tmp_path}/out.jsonl, 2 of them without an answer (--only ok leaves them out)" in said
    assert "rejected" not in said.replace("not-rejected", "")
    assert "3 answers are the model's, though people wrote others; --reviewed not-rejected takes theirs" in said
    said = persqa(database_url, "export", "people", str(tmp_path / "out.csv"), "--reviewed", "accepted")
    assert said.splitlines() == [f"3 rows written to {tmp_path}/out.csv", "1 item of the run has no answer yet"]
    run.review([row.item_id for row in run.results(review="accepted")], decision="rejected")
    said = persqa(database_url, "export", "people", str(tmp_path / "all.csv"))
    assert "\n3 rejected rows are in the file; --reviewed not-rejected leaves them out\n" in said
    said = persqa(database_url, "export", "people", str(tmp_path / "no.csv"), "--reviewed", "accepted")
    assert said.splitlines()[0] == f"0 rows written to {tmp_path}/no.csv: nobody has accepted anything of this run"
    refused = CliRunner().invoke(app, ["results", "people", "--violations", "--review", "none"])
    assert "review does not go with --violations" in str(refused.exception or refused.output)


def test_who_may_only_read_a_file_may_not_review(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    file = tmp_path / "there" / "persqa.db"
    with Client(load_settings(database_url=f"sqlite:///{file}"), local_worker=False) as client:
        _, (item,) = a_stored_run(client.store, 1)
        client.store.results.commit([an_outcome(item)])
        assert client.store.reviews.may_write()
    with bound(), Client(load_settings(database_url=f"sqlite:///{file}"), local_worker=False) as client:
        file.chmod(0o444)
        assert not client.store.reviews.may_write()
        assert list(client.run("r").results(review="none"))
        with pytest.raises(SettingsError, match="can only be looked at"):
            client.run("r").review([item.id], starred=True)
        file.chmod(0o644)
