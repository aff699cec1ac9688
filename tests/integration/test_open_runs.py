"""Open runs: records are added by any number of programs, each once, and stay what they are."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from persqa.additions import Added
from persqa.audit import audit
from persqa.errors import KeyTaken, RunConflict, RunStopped, SettingsError
from persqa.reasons import Reason
from persqa.reconciler import Reconciler
from persqa.results import Status
from persqa.runs import RunState
from persqa.store import Store
from producer import Client
from producer.cli import app
from tests.integration.test_controls import forget_that_somebody_looked
from tests.integration.test_worker import quiet
from tests.support.builders import an_outcome, write_images
from tests.support.oracle import check_rows
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from producer import OpenRun
    from tests.conftest import Site


def records(*numbers: int) -> list[dict[str, object]]:
    return [{"id": number, "image": f"/pictures/{number}.png"} for number in numbers]


def what_became(run: OpenRun, given: Sequence[Mapping[str, object]], *, replace: bool = False) -> list[str]:
    return [ticket.added for ticket in run.add_many(given, replace=replace)]


def end_all(store: Store, run: OpenRun) -> None:
    for chunk in store.ledger.pending(run.run.id):
        store.results.commit([an_outcome(item) for item in chunk])


def test_a_record_is_added_once_however_often_it_is_given(site: Site) -> None:
    with Client(site.settings) as client, Client(site.settings) as other:
        run = client.open_run("camera", tag="mam", key="id")
        assert run.progress().state is RunState.OPEN
        assert what_became(run, records(1, 2, 1)) == ["added", "added", "known"]
        # Whoever comes later need not say the options again.
        again = other.open_run("camera")
        assert again.add(records(2)[0]).items == run.add(records(2)[0]).items
        assert what_became(again, records(3, 1)) == ["added", "known"]
        assert [row.record["id"] for row in run.results()] == [1, 2, 3]
        assert (run.progress().submitted, run.progress().state) == (3, RunState.ACTIVE)
        end_all(client.store, run)
        assert run.wait(timeout_seconds=0, display=quiet).state is RunState.OPEN
        with pytest.raises(TimeoutError):
            run.wait(timeout_seconds=0, closed=True, display=quiet)
        again.close()
        again.close()
        assert run.wait(timeout_seconds=0, closed=True, display=quiet).state is RunState.DONE
        assert what_became(run, records(1)) == ["known"]
        with pytest.raises(RunConflict, match="the run 'camera' is closed"):
            run.add(records(4)[0])
        assert audit(client.store, client.store.runs.reread(run.run), None).holds


def test_without_a_key_the_content_is_one(site: Site) -> None:
    with Client(site.settings) as client:
        run = client.open_run("camera")
        first, second = {"image": "/a.png", "at": 1}, {"image": "/a.png", "at": 2}
        assert what_became(run, [first, second, dict(first)]) == ["added", "added", "known"]


def test_another_record_of_the_same_key_is_refused_by_name_and_the_rest_is_added(site: Site) -> None:
    with Client(site.settings) as client:
        run = client.open_run("camera", key="id")
        run.add({"id": "a", "image": "/a.png"})
        batch = [{"id": "b", "image": "/b.png"}, {"id": "a", "image": "/c.png"}, {"id": "c", "image": "/c.png"}]
        with pytest.raises(KeyTaken, match="in the run 'camera', 'a' is there with other content") as taken:
            run.add_many(batch)
        assert taken.value.keys == ("a",)
        assert [row.image for row in run.results()] == ["/a.png", "/b.png", "/c.png"]


def test_a_record_that_takes_the_place_of_another_keeps_what_was_there(site: Site) -> None:
    with Client(site.settings) as client:
        store = client.store
        run = client.open_run("camera", key="id", questions_per_image=2)
        place = run.add({"id": "a", "image": "/a.png"})
        run.add({"id": "b", "image": "/b.png"})
        stale = [replace(an_outcome(item), requeues=0) for item in store.ledger.chosen(place.items)]
        store.results.commit(stale[:1])
        newer = run.add({"id": "a", "image": "/z.png"}, replace=True)
        assert (newer.added, newer.position, newer.items) == (Added.REPLACED, place.position, place.items)
        # A worker has asked about the picture that was there, and comes too late.
        assert store.results.commit(stale) == set()
        assert [row.image for row in run.results()] == ["/z.png", "/z.png", "/b.png", "/b.png"]
        assert [row.status for row in run.results(status="pending")] == ["pending"] * 4
        assert [row.answer for row in run.earlier_results(place.items[0])] == [stale[0].result.answer]
        assert run.earlier_results(place.items[1]) == []
        end_all(store, run)
        assert audit(store, store.runs.reread(run.run), None).holds
        assert run.progress().ended[Status.OK] == 4


def test_the_answer_to_the_new_record_counts_where_both_are_committed_at_once(site: Site) -> None:
    with Client(site.settings) as client:
        run = client.open_run("camera", key="id")
        (item,) = client.store.ledger.chosen(run.add({"id": "a", "image": "/a.png"}).items)
        run.add({"id": "a", "image": "/z.png"}, replace=True)
        stale, new = (replace(an_outcome(item, answer=f"<mam> {n}"), requeues=n) for n in (0, 1))
        assert client.store.results.commit([stale, new, stale]) == {item.id}
        assert [(row.image, row.answer) for row in run.results()] == [("/z.png", "<mam> 1")]


def test_a_wrong_record_is_no_obstacle_and_may_be_mended(site: Site) -> None:
    with Client(site.settings) as client:
        run = client.open_run("camera", key="id", questions_per_image=2)
        given = [{"id": 1, "image": 5}, {"image": "/b.png"}, {"id": 3, "image": "/c.png"}, {"id": 4, "image": {1, 2}}]
        assert what_became(run, given) == ["added"] * 4
        assert what_became(run, given) == ["known"] * 4
        wrong = [(row.record.get("id"), row.reason) for row in run.results(status="invalid")]
        assert wrong == [(1, Reason.BAD_IMAGE_FIELD), (None, Reason.BAD_KEY), (4, Reason.BAD_VALUE)]
        with pytest.raises(KeyTaken):
            run.add({"id": 3, "image": 5}, replace=True)
        assert run.add({"id": 1, "image": "/a.png"}, replace=True).added is Added.REPLACED
        assert [row.image for row in run.results(status="pending")] == ["/a.png", "/a.png", "/c.png", "/c.png"]
        end_all(client.store, run)
        assert audit(client.store, client.store.runs.reread(run.run), None).holds
        assert (run.progress().submitted, run.progress().pending) == (6, 0)


def test_what_is_no_record_is_told_by_its_ticket_and_a_path_is_one(site: Site) -> None:
    odd: Any = "no object"
    with Client(site.settings) as client:
        run = client.open_run("camera")
        assert run.add(odd).result(timeout=10).reason == Reason.NOT_AN_OBJECT
        assert run.add({"image": Path("/z.png")}).status == "pending"


def test_a_batch_may_replace_what_it_has_just_added(site: Site) -> None:
    with Client(site.settings) as client:
        run = client.open_run("camera", key="id")
        given = [{"id": 1, "image": "/a.png"}, {"id": 2, "image": "/b.png"}, {"id": 1, "image": "/c.png"}]
        assert what_became(run, given, replace=True) == ["added", "added", "replaced"]
        assert [row.image for row in run.results()] == ["/c.png", "/b.png"]
        assert audit(client.store, client.store.runs.reread(run.run), None).holds


def test_many_programs_add_at_once(site: Site) -> None:
    def add(first: int) -> list[str]:
        with Client(site.settings) as client:
            run = client.open_run("camera", key="id")
            return [
                became
                for start in range(first, first + 200, 40)
                for became in what_became(run, records(*range(start, start + 60)))
            ]

    with ThreadPoolExecutor(6) as pool:
        became = [one for some in pool.map(add, [0, 100, 200, 0, 100, 200]) for one in some]
    with Client(site.settings) as client:
        run = client.run("camera")
        rows = list(run.results())
        assert became.count("added") == len(rows) == len({str(row.record["id"]) for row in rows}) == 420
        assert [row.position for row in rows] == list(range(420))
        assert audit(client.store, run.run, None).holds


def test_what_cannot_be_is_refused(site: Site, tmp_path: Path) -> None:
    with Client(site.settings) as client:
        client.submit(write_images(tmp_path, 1), run="faces")
        with pytest.raises(RunConflict, match="the run 'faces' is a data set"):
            client.open_run("faces")
        run = client.open_run("camera", tag="mam", key="id")
        with pytest.raises(RunConflict, match="differs in: tag"):
            client.open_run("camera", tag="leo")
        with pytest.raises(RunConflict, match="a record is named by the field 'id'"):
            client.open_run("camera", key="name")
        with pytest.raises(RunConflict, match="exists and differs in: the data"):
            client.submit(tmp_path / "records.jsonl", run="camera", tag="mam")
        with pytest.raises(SettingsError, match="leave out sample"):
            client.open_run("other", sample=3)
        run.cancel()
        with pytest.raises(RunStopped, match="the run 'camera' is cancelled: nothing is added to it"):
            run.add(records(1)[0])


@pytest.mark.parametrize("site", ["valkey+sqlite", "redis+postgresql"], indirect=True)
def test_what_is_added_is_answered_whatever_the_queue_loses(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "reads_colour")
    folder = write_images(tmp_path, 40).parent / "images"
    given = [{"image": str(folder / f"{number}.png"), "id": number} for number in range(40)]
    with Client(settings) as client, WorkerProcess(settings, tmp_path):
        run = client.open_run("camera", key="id")
        run.add_many(given[:20])
        run.wait(timeout_seconds=60, display=quiet)
        with closing(Store.open(settings.database_url)) as store:
            # A producer that died between the ledger and the queue.
            run.pause()
            run.add_many(given[20:30])
            store.runs.set_state(run.run, RunState.ACTIVE)
        forget_that_somebody_looked(settings)
        assert Reconciler(client.store, settings).reconcile() == 10
        run.add_many(given[30:])
        run.close()
        progress = run.wait(timeout_seconds=60, closed=True, display=quiet)
        assert progress.ended[Status.OK] == 40
        check_rows(run, 40)


@pytest.mark.parametrize("site", ["valkey+sqlite"], indirect=True)
def test_inputs_are_appended_and_the_run_is_closed_on_the_command_line(site: Site, tmp_path: Path) -> None:
    def persqa(*arguments: str) -> tuple[int, dict[str, object], str]:
        where = ["--broker-url", site.settings.broker_url or "", "--database-url", site.settings.database_url]
        done = CliRunner().invoke(app, [*arguments, "--json", *where])
        return done.exit_code, json.loads(done.stdout or "{}"), str(done.exception or "")

    first = write_images(tmp_path / "a", 5)
    (tmp_path / "a" / "more.jsonl").write_text('{"id": 4, "image": "images/0.png"}\n{"id": 5, "image": 7}\n')
    append = ("--append", "camera", "--key", "id", "--logprobs")
    became = {"records": 5, "added": 5, "known": 0, "replaced": 0, "refused": 0, "invalid": 0}
    assert persqa("submit", str(first), *append) == (0, {"run": "camera", **became}, "")
    assert persqa("submit", str(first), "--append", "camera")[:2] == (
        0,
        {"run": "camera", **became, "added": 0, "known": 5},
    )
    more = str(tmp_path / "a" / "more.jsonl")
    refused = {"run": "camera", **became, "records": 2, "added": 1, "refused": 1, "invalid": 1}
    assert persqa("submit", more, "--append", "camera")[:2] == (1, refused)
    assert persqa("submit", more, "--append", "camera", "--replace")[1]["replaced"] == 1
    for wrong, said in (
        (("--append", "camera", "--tag", "leo"), "differs in: tag"),
        (("--append", "camera", "--limit", "3"), "limit is for a data set"),
        (("--key", "id"), "name it with --append"),
    ):
        code, _, error = persqa("submit", more, *wrong)
        assert code == 1
        assert said in error
    other = write_images(tmp_path / "b", 6)
    assert "start at" in persqa("submit", str(other), "--append", "camera")[2]
    assert persqa("close", "camera") == (0, {"run": "camera", "pending": 5}, "")
    with Client(site.settings) as client:
        run = client.run("camera")
        assert [row.image for row in run.results()][:5] == [*(f"images/{n}.png" for n in range(4)), "images/0.png"]
        assert run.run.options.logprobs
        assert audit(client.store, run.run, None).holds
