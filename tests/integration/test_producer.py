"""Submitting, again and again, and getting everything out."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from persqa.broker.connection import connect
from persqa.broker.keys import QUEUE, queue_for
from persqa.errors import InputError, RunConflict, SettingsError
from persqa.prompts import human_turn
from persqa.results import Status
from persqa.settings import load_settings
from persqa.tags import Tag
from producer import Client, RunHandle
from tests.integration.test_worker import answer_all, counts, quiet
from tests.support.builders import answer_one, write_images
from tests.support.oracle import runs_of
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from tests.conftest import Site


def enqueued(run: RunHandle) -> int:
    assert run.submission is not None
    return run.submission.enqueued


def test_only_what_has_no_result_and_is_not_queued_is_enqueued_again(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "compliant")
    data = write_images(tmp_path / "data", 20)
    with Client(settings) as client:
        assert enqueued(client.submit(data)) == 20
        assert enqueued(client.submit(data)) == 0
        redis = connect(settings.broker_url or "")
        redis.ltrim(QUEUE, 0, 14)
        assert enqueued(client.submit(data)) == 5
        redis.delete(QUEUE)
        redis.close()
        run = client.submit(data)
        assert enqueued(run) == 20
        with WorkerProcess(settings, tmp_path):
            run.wait(timeout_seconds=60, display=quiet)
        assert enqueued(client.submit(data)) == 0


def test_three_submits_at_once_make_one_row_per_item(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "compliant")
    data = write_images(tmp_path / "data", 300)
    start = threading.Barrier(3)

    def submit() -> None:
        with Client(settings) as client:
            start.wait()
            client.submit(data)

    with ThreadPoolExecutor(3, thread_name_prefix="test") as threads:
        for future in [threads.submit(submit) for _ in range(3)]:
            future.result()
    with Client(settings) as client, WorkerProcess(settings, tmp_path):
        run = client.run("records")
        run.wait(timeout_seconds=60, display=quiet)
        assert counts(run) == {"ok": 300}
        assert run.violation_kinds() == {}


def test_a_submit_that_was_interrupted_goes_on_where_it_stopped(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "compliant").model_copy(update={"queue_bound": 1000})
    data = write_images(tmp_path / "data", 2500)

    def give_up() -> None:
        raise KeyboardInterrupt

    with Client(settings) as client:
        with pytest.raises(KeyboardInterrupt):
            client.submit(data, on_full=give_up)
        assert client.run("records").progress().submitted == 2500
        assert client.run("records").audit().census.pending == 2500
        assert client.run("records").audit().holds, "what was never enqueued is not lost"
        with WorkerProcess(settings, tmp_path):
            run = client.submit(data)
            assert enqueued(run) >= 1500
            run.wait(timeout_seconds=60, display=quiet)


def test_other_data_or_options_under_the_same_name_are_refused_and_change_nothing(site: Site, tmp_path: Path) -> None:
    data = write_images(tmp_path / "data", 3)
    with Client(site.settings) as client:
        answer_one(client, client.submit(data))
        with pytest.raises(RunConflict, match="tag, seed"):
            client.submit(data, tag="bob", seed=3)
        data.write_text(data.read_text() + '{"image": "images/0.png"}\n')
        with pytest.raises(RunConflict, match="the data"):
            client.submit(data)
        assert client.run("records").progress().submitted == 3
        assert client.submit(data, run="another").progress().submitted == 4


def test_wrong_records_are_stored_as_invalid_and_the_run_goes_on(site: Site, tmp_path: Path) -> None:
    data = write_images(tmp_path / "data", 4)
    with data.open("a") as file:
        file.write('{"image": 5, "keep": "me"}\nnot json\n[1]\n{"image": "images/1.png", "tag": "no tag"}\n')
    client, run = answer_all(scripted(site.settings, "compliant"), data, tmp_path)
    with client:
        assert run.submission is not None
        assert run.submission.invalid == 4
        assert counts(run) == {"ok": 4, "invalid": 4}
        details = {row.reason: row.detail for row in run.results(status="invalid")}
        assert set(details) == {"bad_image_field", "not_json", "not_an_object", "bad_tag"}
        assert str(details["bad_image_field"]).startswith("line 5: ")
        run.export(tmp_path / "out.jsonl", output_key="out")
        exported = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        assert exported[4] == {"image": 5, "keep": "me", "out": None}
        assert exported[5:7] == [{"record": "not json", "out": None}, {"record": [1], "out": None}]


def test_strict_refuses_the_file_with_its_lines_and_writes_nothing(site: Site, tmp_path: Path) -> None:
    data = write_images(tmp_path / "data", 2)
    data.write_text(data.read_text() + "{}\n" * 7)
    with Client(site.settings) as client:
        with pytest.raises(InputError, match=r"7 of 9 records are wrong:\n  line 3: .*(\n.*){4}\n  and 2 more"):
            client.submit(data, strict=True)
        assert runs_of(client) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tag": "<no tag>"}, "tag"),
        ({"tag_policy": "sometimes"}, "tag_policy"),
        ({"pool": "nowhere.txt"}, "no question pool"),
        ({"questions_per_image": 13}, "13 were asked for"),
        ({"sampling": {"temprature": 1}}, "sampling: there is no parameter 'temprature'; did you mean temperature?"),
        ({"run": "no/name"}, "cannot name a run"),
        ({"colour": "red"}, "there is no option of a submit 'colour'; choose tag, "),
        ({"tag_policy": "sometimes"}, "'sometimes' is none of check, repair, prefill"),
        ({"priority": "urgent"}, "there is no priority 'urgent'; choose high, normal or low"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_written(
    tmp_path: Path, options: dict[str, object], words: str
) -> None:
    data = write_images(tmp_path / "data", 1)
    with Client(load_settings(database_url=f"sqlite:///{tmp_path}/x.db")) as client:
        with pytest.raises(SettingsError, match=words):
            client.submit(data, **options)  # pyrefly: ignore[bad-argument-type]
        assert runs_of(client) == []


def test_the_export_has_the_seeds_shape_field_by_field(site: Site, tmp_path: Path) -> None:
    seed = [
        {"image": ["images/0.png"], "source": "s", "conversation": [{"from": "human", "value": ""}], "id": 0},
        {"image": "images/1.png", "id": 1, "extra": {"a": [None, 1.5]}},
        {"image": "images/2.png", "tag": "bob", "conversation": [{"from": "human", "value": "x"},
                                                                 {"from": "gpt", "value": "y"}]},
    ]  # fmt: skip
    write_images(tmp_path / "data", 3)
    data = tmp_path / "data" / "sample.json"
    data.write_text(json.dumps(seed))
    client, run = answer_all(scripted(site.settings, "reads_colour"), data, tmp_path, seed=5)
    with client:
        # Beside the input, where every image has the path that it came with.
        out = data.with_name("out.json")
        run.export(out, output_key="pers_qa")
        asked = [row.question for row in run.results()]
        prompts = [
            human_turn(Tag(tag), question) for tag, question in zip(["<mam>", "<mam>", "<bob>"], asked, strict=True)
        ]
        assert json.loads(out.read_text()) == [
            {**seed[0], "conversation": [{"from": "human", "value": prompts[0]}], "pers_qa": "<mam> is 0-0-7"},
            {**seed[1], "conversation": [{"from": "human", "value": prompts[1]}], "pers_qa": "<mam> is 1-0-7"},
            {
                **seed[2],
                "conversation": [{"from": "human", "value": prompts[2]}, {"from": "gpt", "value": "y"}],
                "pers_qa": "<bob> is 2-0-7",
            },
        ]


def test_several_questions_are_different_and_the_same_when_asked_again(site: Site, tmp_path: Path) -> None:
    data = write_images(tmp_path / "data", 30)
    with Client(site.settings) as client:
        one = client.submit(data, run="one", questions_per_image=4, seed=1)
        two = client.submit(data, run="two", questions_per_image=4, seed=1)
        other = client.submit(data, run="other", questions_per_image=4, seed=2)
        asked = [[row.question for row in run.results()] for run in (one, two, other)]
        assert asked[0] == asked[1] != asked[2]
        assert all(len(set(asked[0][at : at + 4])) == 4 for at in range(0, 120, 4))
        connect(site.settings.broker_url or "").delete(QUEUE)
        for run in (one, two, other):
            with WorkerProcess(scripted(site.settings, "compliant"), tmp_path):
                run.resume()
                run.wait(timeout_seconds=60, display=quiet)


def test_requeued_items_are_asked_again_with_new_seeds(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "second_try")
    client, run = answer_all(settings, write_images(tmp_path / "data", 60), tmp_path, tag_policy="check")
    with client:
        before = counts(run)["noncompliant"]
        assert 5 < before < 55
        assert run.requeue(Status.NONCOMPLIANT).taken_back == before
        with WorkerProcess(settings, tmp_path):
            run.wait(timeout_seconds=60, display=quiet)
        assert counts(run)["noncompliant"] < before
        with pytest.raises(SettingsError):
            run.requeue(Status.OK)


def test_a_run_that_names_a_model_waits_in_the_models_queue(site: Site, tmp_path: Path) -> None:
    with Client(site.settings) as client:
        run = client.submit(write_images(tmp_path / "data", 2), model="some/model")
        redis = connect(site.settings.broker_url or "")
        assert (redis.llen(QUEUE), redis.llen(queue_for("some/model"))) == (0, 2)
        redis.close()
        assert run.audit().holds


def test_wait_gives_up_in_time(site: Site, tmp_path: Path) -> None:
    with (
        Client(site.settings) as client,
        pytest.raises(TimeoutError, match=r"2 items pending after 0.* s: there is no worker; .* persqa worker"),
    ):
        client.submit(write_images(tmp_path / "data", 2)).wait(timeout_seconds=0.1, display=quiet)
