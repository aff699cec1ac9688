"""A pilot asks a sample in variants, and the whole input takes its answers over: none is lost, doubled or mixed up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from persqa.errors import BrokerUnavailable, InputError, RunConflict, SettingsError
from persqa.flags import Finding, Flag
from persqa.pairs import Choice
from persqa.policies import Rung
from persqa.results import Outcome, Status
from persqa.verdicts import ViolationKind
from producer import Client
from producer.pilot import PilotListener
from tests.integration.test_run_command import persqa
from tests.integration.test_worker import quiet
from tests.support.builders import a_violation, an_outcome, write_images
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from producer import RunHandle
    from producer.options import GivenSubmitOptions
    from tests.conftest import Site


def answers(run: RunHandle) -> dict[str | None, str | None]:
    return {row.image: row.answer for row in run.results()}


def test_variants_are_asked_the_same_and_the_whole_takes_the_answers_of_one(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "reads_colour")
    data = write_images(tmp_path / "data", 60)
    told: list[tuple[str, object]] = []
    listener = PilotListener(submitted=lambda run, varied: told.append((run.name, varied)), display=quiet)
    with Client(settings) as client, WorkerProcess(settings, tmp_path):
        pilot = client.pilot(
            data, sample=20, vary={"tag_policy": ["check", "prefill"]}, price_per_hour=2, listener=listener, seed=5
        )
        assert told == [("records-pilot-1", {"tag_policy": "check"}), ("records-pilot-2", {"tag_policy": "prefill"})]
        assert (pilot.sample, pilot.records) == (20, 60)
        one, two = pilot.variants
        assert (one.figures.items, one.figures.ok.part, one.figures.unusable) == (20, 20, 0)
        assert one.cost.price is not None
        assert one.cost.seconds == pytest.approx(3 * one.figures.seconds)
        first, second = client.run(one.run), client.run(two.run)
        asked = [[(row.image, row.question) for row in run.results()] for run in (first, second)]
        assert asked[0] == asked[1]

        # Again: nothing is asked again, and another variant has a run of its own.
        told.clear()
        more = {"tag_policy": ["prefill", "repair"]}
        again = client.pilot(data, sample=20, vary=more, listener=listener, seed=5)
        assert [variant.run for variant in again.variants] == ["records-pilot-2", "records-pilot-3"]
        assert second.progress().submitted == 20

        _take_over(client, data, second, two.whole)


def _take_over(client: Client, data: Path, pilot: RunHandle, given: GivenSubmitOptions) -> None:
    """Ask the whole input, but for what the pilot's run has asked."""
    whole = client.submit(data, **given)  # pyrefly: ignore[open-unpacking]
    assert whole.submission is not None
    assert (whole.submission.reused, whole.submission.enqueued) == (20, 40)
    whole.wait(timeout_seconds=60, display=quiet)
    pilots = answers(pilot)
    assert {image: answer for image, answer in answers(whole).items() if image in pilots} == pilots
    taken = {row.image: row for row in whole.results() if row.detail is not None}
    assert set(taken) == set(pilots)
    for row in pilot.results():
        assert taken[row.image].detail == f"answered as item {row.item_id} of the run {pilot.name}"
    # Of another policy; and nothing is left of the submit that is refused.
    with pytest.raises(RunConflict, match="records-pilot-1' was asked otherwise, it differs in tag_policy"):
        client.submit(data, run="other", tag_policy="prefill", seed=5, reuse="records-pilot-1")
    assert "other" not in [run.name for run in client.runs()]
    assert whole.requeue(items=[next(iter(taken.values())).item_id]).taken_back == 1
    whole.wait(timeout_seconds=60, display=quiet)


def test_each_answer_is_taken_once_with_all_that_belongs_to_it(database_url: str, tmp_path: Path) -> None:
    records = write_images(tmp_path / "data", 4).read_text().splitlines()
    few, many = tmp_path / "data" / "few.jsonl", tmp_path / "data" / "many.jsonl"
    few.write_text("\n".join([records[2], records[2], records[3]]) + "\n")
    # The third record stands there three times, and the few have two answers of it.
    many.write_text("\n".join([*records, records[2], records[2]]) + "\n")
    with Client(database_url=database_url, broker_url="redis://nowhere:1") as client:
        small = _written(client, few)
        first, second, third = next(client.store.ledger.pending(small.run.id))
        flagged = (Finding(Flag.HEDGE, 0.5, 1, 3), Finding(Flag.SEEN_BEFORE, 1.0))
        kept = Outcome(
            an_outcome(first, Status.NONCOMPLIANT, reason=ViolationKind.MISSING_TAG, answer="no tag").result,
            (a_violation(first, Rung.FREE, ViolationKind.MISSING_TAG),),
            findings=flagged,
        )
        client.store.results.commit([kept, an_outcome(second, answer="<mam> two."), an_outcome(third, Status.DEAD)])
        whole = _written(client, many, reuse="few")
        rows = {row.position: row for row in whole.results()}
        assert [rows[place].status for place in range(6)] == [
            "pending", "pending", "noncompliant", "pending", "ok", "pending"
        ]  # fmt: skip
        noted = {one.place[0]: one.flags for one in client.store.measured.of(whole.run)}
        assert noted == {2: {Flag.HEDGE}, 4: set()}
        assert [row.text for row in whole.violations()] == ["no tag"]
        assert whole.audit(queue=False).holds
        # What is not there any more is nobody's.
        client.store.ledger.reopen(small.run.id, Choice())
        third_run = _written(client, many, reuse="few", run="third")
        assert third_run.progress().pending == 6


def _written(client: Client, data: Path, **given: str) -> RunHandle:
    """A run in the ledger; there is no broker to enqueue it."""
    with pytest.raises(BrokerUnavailable):
        client.submit(data, **given)  # pyrefly: ignore[bad-argument-type]
    return client.run(given.get("run", data.stem))


def test_what_no_pilot_can_ask_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    data = write_images(tmp_path / "data", 2)
    with Client(database_url=f"sqlite:///{tmp_path}/none.db", broker_url="redis://nowhere:1") as client:
        wrong: list[tuple[dict[str, list[object]], str]] = [
            ({"pool": ["human", "object"]}, "no option that a pilot varies 'pool'"),
            ({"tag_policy": []}, "needs values that differ, and has none$"),
            ({"tag_policy": ["check", "check"]}, "needs values that differ, and has 'check' and 'check'$"),
            ({"temperature": [0.1, -1]}, "temperature"),
        ]
        for vary, said in wrong:
            with pytest.raises(SettingsError, match=said):
                client.pilot(data, vary=vary)
        with pytest.raises(SettingsError, match="limit: a pilot draws a sample"):
            client.pilot(data, limit=3)
        with pytest.raises(SettingsError, match="no price"):
            client.pilot(data, price_per_hour=0)
        with pytest.raises(InputError, match="for each variant"):
            client.pilot("-")
    assert not (tmp_path / "none.db").exists()


def test_a_person_types_what_the_pilot_says(tmp_path: Path) -> None:
    data = write_images(tmp_path / "data", 30)
    for name in ("short", "long"):
        (tmp_path / f"{name}.txt").write_text(f"Be {name}.\n")
    typed = ["pilot", str(data), "--sample", "12", "--price-per-hour", "3", "--vary", "prompt=short.txt,long.txt"]
    done = persqa(tmp_path, *typed, script="second_try")
    assert done.returncode == 0, done.stderr
    assert "12 records of 30, drawn by the seed" in done.stdout
    cells = {line.split("  ")[0]: line.split() for line in done.stdout.splitlines()}
    assert cells["prompt"][1:] == ["short.txt", "long.txt"]
    assert "cost of a good pair" in cells
    commands = [line.partition(": persqa ")[2] for line in done.stdout.splitlines() if line.startswith("to ask")]
    assert commands[1] == f"run {data} --system-prompt @long.txt --reuse records-pilot-2"
    whole = persqa(tmp_path, *commands[1].split(), script="second_try")
    assert "12 answers taken from the other run" in whole.stderr, whole.stderr
    assert "all 30 items accounted for" in whole.stdout
    facts = json.loads(persqa(tmp_path, *typed, "--json", script="dies").stdout)
    assert [one["run"] for one in facts["variants"]] == ["records-pilot-1", "records-pilot-2"]
    assert facts["variants"][0]["ok"]["whole"] == 12
    for wrong, said in (("tag_policy", "write NAME=A,B"), ("prompt=none.txt", "cannot be read")):
        refused = persqa(tmp_path, "pilot", str(data), "--vary", wrong)
        assert refused.returncode == 2
        assert said in refused.stderr
