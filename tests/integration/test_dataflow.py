"""The operator on the fleet: real broker, real database, a worker process, and a pipeline that is started again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from persqa.dataflow import FileStorage, LocalModelVLMServing_vllm, PersQAGenerator, QueueVLMServing
from persqa.errors import RunConflict
from persqa.results import Status
from persqa.settings import load_settings
from producer import Client
from tests.integration.test_worker import quiet
from tests.support.builders import colour_of, write_images
from tests.support.wait import wait_until
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from persqa.settings import Settings
    from tests.conftest import Site


def serving_of(settings: Settings, **options: Any) -> QueueVLMServing:
    chosen: dict[str, Any] = {"timeout_seconds": 60, **options}
    return QueueVLMServing(settings.broker_url, settings.database_url, display=quiet, settings=settings, **chosen)


def image(index: int) -> str:
    return f"data/images/{index}.png"


def colour(index: int) -> str:
    return "-".join(str(part) for part in colour_of(index))


def run(serving: Any, folder: Path, records: list[dict[str, Any]], **options: Any) -> list[dict[str, Any]]:
    (folder / "in.json").write_text(json.dumps(records))
    storage = FileStorage(str(folder / "in.json"), str(folder / "cache"), "pers_qa_res", "json")
    storage.step()
    assert PersQAGenerator(serving, **options).run(storage, "image", "pers_qa") == ["pers_qa"]
    storage.step()
    return storage.read("dict")


def runs(settings: Settings) -> list[str]:
    with Client(settings) as client:
        return [found.name for found in client.runs()]


@pytest.fixture
def records(tmp_path: Path) -> list[dict[str, Any]]:
    """Ten good ones, and one of every other kind."""
    write_images(tmp_path / "data", 12)
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    turns = [{"from": "human", "value": ""}]
    good = [{"image": [image(index)], "id": index, "conversation": turns} for index in range(10)]
    two = {"image": [image(10), image(11)], "tag": "bob"}
    return [*good, {"image": "bad.png"}, {"image": 5}, two, {"text": "none"}]


def expected(answers: list[str | None]) -> list[str | None]:
    return [f"<mam> is {colour(index)}" for index in range(10)] + answers


def test_one_changed_line_gives_the_same_file(site: Site, tmp_path: Path, records: list[dict[str, Any]]) -> None:
    here = scripted(load_settings(commit_seconds=0.05), "text_or_colour")
    local = LocalModelVLMServing_vllm("a/model", settings=here)
    on_this_machine = run(local, tmp_path, records)
    local.cleanup()
    settings = scripted(site.settings, "text_or_colour")
    fleet = serving_of(settings)
    with WorkerProcess(settings, tmp_path):
        on_fleet = run(fleet, tmp_path, records)
    fleet.cleanup()
    assert on_fleet == on_this_machine
    assert [record["pers_qa"] for record in on_fleet] == expected(
        [None, None, f"<bob> is {colour(10)}/{colour(11)}", "<mam> is unseen"]
    )
    assert [record["pers_qa_reason"] for record in on_fleet][10:12] == [
        on_this_machine[10]["pers_qa_reason"],
        on_this_machine[11]["pers_qa_reason"],
    ]
    assert str(on_fleet[10]["pers_qa_reason"]).startswith("broken_image: ")
    assert str(on_fleet[11]["pers_qa_reason"]).startswith("bad_image_field: ")


def test_a_pipeline_that_is_started_again_asks_nothing_that_is_answered(
    site: Site, tmp_path: Path, records: list[dict[str, Any]]
) -> None:
    settings = scripted(site.settings, "text_or_colour")
    first = serving_of(settings, timeout_seconds=0.2)
    with pytest.raises(TimeoutError):
        run(first, tmp_path, records)
    first.cleanup()
    with WorkerProcess(settings, tmp_path):
        second = serving_of(settings)
        answers = run(second, tmp_path, records)
        second.cleanup()
    # No worker is there any more: whatever is asked now would never be answered.
    third = serving_of(settings)
    assert run(third, tmp_path, records) == answers
    third.cleanup()
    assert len(runs(settings)) == 1


_PIPELINE = """
import sys
from persqa.dataflow import FileStorage, PersQAGenerator, QueueVLMServing

generator = PersQAGenerator(QueueVLMServing(sys.argv[1], sys.argv[2]))
storage = FileStorage("in.json", "cache", "pers_qa_res", "json")
storage.step()
generator.run(storage, "image", "pers_qa")
"""


def test_a_pipeline_that_is_killed_and_started_again_asks_nothing_twice(
    site: Site, tmp_path: Path, records: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = tmp_path / "notes"
    monkeypatch.setenv("SCRIPT_NOTES", str(notes))
    monkeypatch.setenv("SCRIPT_SECONDS", "0.5")
    settings = scripted(site.settings, "takes_long").model_copy(update={"window": 2})
    (tmp_path / "in.json").write_text(json.dumps(records[:10]))
    command = [sys.executable, "-c", _PIPELINE, settings.broker_url or "", settings.database_url]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

    def pipeline() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)

    with WorkerProcess(settings, tmp_path):
        with pipeline() as killed:
            wait_until(lambda: notes.exists() and len(notes.read_text().split()) > 3, describe="some are asked")
            killed.kill()
        assert not (tmp_path / "cache" / "pers_qa_res_step1.json").exists()
        with pipeline() as again:
            assert again.wait(60) == 0
    asked = notes.read_text().split()
    assert len(asked) == len(set(asked)) == 10
    found = json.loads((tmp_path / "cache" / "pers_qa_res_step1.json").read_text())
    assert [record["pers_qa"] for record in found] == expected([])


def test_other_data_options_and_calls_are_other_runs(site: Site, tmp_path: Path, records: list[dict[str, Any]]) -> None:
    settings = scripted(site.settings, "text_or_colour")
    serving = serving_of(settings)
    with WorkerProcess(settings, tmp_path):
        run(serving, tmp_path, records[:3])
        run(serving, tmp_path, records[:4])
        run(serving, tmp_path, records[:3], seed=7)
        run(serving, tmp_path, records[:3], tag_policy="repair")
        warmer = serving_of(settings, vllm_temperature=1.5)
        run(warmer, tmp_path, records[:3])
        warmer.cleanup()
    serving.cleanup()
    names = runs(settings)
    assert len(set(names)) == 5
    assert all(name.startswith("dataflow-") for name in names)


def test_a_run_can_be_given_a_name_which_then_stands_for_its_data(
    site: Site, tmp_path: Path, records: list[dict[str, Any]]
) -> None:
    settings = scripted(site.settings, "text_or_colour")
    serving = serving_of(settings, run="portraits", vllm_max_tokens=77)
    with WorkerProcess(settings, tmp_path):
        run(serving, tmp_path, records[:3])
        with pytest.raises(RunConflict, match="the data"):
            run(serving, tmp_path, records[:4])
    serving.cleanup()
    with Client(settings) as client:
        found = client.run("portraits")
        assert found.progress().ended[Status.OK] == 3
        assert found.run.options.sampling.max_tokens == 77
        found.export(tmp_path / "out.jsonl", output_key="pers_qa", with_meta=True)
    exported = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [record["pers_qa"] for record in exported] == expected([])[:3]
    assert [record["persqa"]["verdict"] for record in exported] == ["compliant"] * 3


def test_prompts_of_others_are_asked_as_they_stand(site: Site, tmp_path: Path) -> None:
    write_images(tmp_path / "data", 3)
    settings = scripted(site.settings, "text_or_colour")
    serving = serving_of(settings)
    with WorkerProcess(settings, tmp_path):
        pictures = [[image(1), image(2)], [], None, ["no.png"]]
        found = serving.generate_from_input(["one", "two ", " ", "four"], "sys", pictures)
        assert found == [f"sys|one|{colour(1)}/{colour(2)}", "sys|two |", None, None]
        turns = [[{"from": "human", "value": "<image>\nWho?"}], [{"from": "human", "value": "<image>\nWho?"}]]
        found = serving.generate_from_input_messages(turns, [[image(0)], [image(1)]], system_prompt="")
        assert found == [f"|Who?|{colour(0)}", f"|Who?|{colour(1)}"]
    serving.cleanup()
    with Client(settings) as client:
        for handle in client.runs():
            assert handle.audit().holds
            assert handle.violation_kinds() == {}


def test_characters_that_no_database_holds_cost_at_most_their_own_prompt(site: Site) -> None:
    settings = scripted(site.settings, "text_or_colour")
    serving = serving_of(settings)
    prompts = ["good", "from a PDF\0", "half \ud83d", "both \ud83d\ude00", "\udcff", "good, too"]
    said = ["good", "from a PDF\ufffd", "half \ufffd", "both \U0001f600", "\ufffd", "good, too"]
    with WorkerProcess(settings, Path()):
        for _ in range(2):
            found = serving.generate_from_input(prompts, "sys")
            assert found == [f"sys|{text}|" for text in said]
        assert serving.generate_from_input(["good"], "sys", [["a\0.png"]]) == [None]
    serving.cleanup()


def test_the_same_names_in_another_folder_get_their_own_answers(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = scripted(site.settings, "text_or_colour")
    for index, folder in enumerate("AB"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (8, 8), colour_of(index)).save(tmp_path / folder / "0.png")
    with WorkerProcess(settings, tmp_path):
        for index, folder in enumerate("AB"):
            monkeypatch.chdir(tmp_path / folder)
            serving = serving_of(settings)
            assert serving.generate_from_input(["?"], "", ["0.png"]) == [f"|?|{colour(index)}"]
            serving.cleanup()
            named = serving_of(settings, run="mine")
            if folder == "A":
                assert named.generate_from_input(["?"], "", ["0.png"]) == [f"|?|{colour(index)}"]
            else:
                with pytest.raises(RunConflict, match=r"start at .*/A and not at .*/B"):
                    named.generate_from_input(["?"], "", ["0.png"])
            named.cleanup()


def test_the_tag_policy_of_the_generator_is_that_of_the_run(
    site: Site, tmp_path: Path, records: list[dict[str, Any]]
) -> None:
    settings = scripted(site.settings, "never_the_tag")
    serving = serving_of(settings)
    with WorkerProcess(settings, tmp_path):
        free = run(serving, tmp_path, records[:2])
        repaired = run(serving, tmp_path, records[:2], tag_policy="repair")
    serving.cleanup()
    assert [(record["pers_qa"], record["pers_qa_reason"]) for record in free] == [
        ("The person wears a hat.", "missing_tag")
    ] * 2
    assert [(record["pers_qa"], record["pers_qa_reason"]) for record in repaired] == [("<mam> wears a hat.", None)] * 2
    with Client(settings) as client:
        newest = client.runs()[0]
        newest.export(tmp_path / "out.json", with_meta=True)
    for record in json.loads((tmp_path / "out.json").read_text()):
        assert record["persqa"]["violations"] == [
            {"rung": "free", "kind": "missing_tag"},
            {"rung": "reseed", "kind": "missing_tag"},
        ]
        assert (record["persqa"]["rung"], record["persqa"]["forced"]) == ("prefill", True)


def test_several_pipelines_share_one_fleet(site: Site, tmp_path: Path) -> None:
    write_images(tmp_path / "data", 12)
    settings = scripted(site.settings, "text_or_colour")
    answers: dict[int, Any] = {}

    def pipeline(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        serving = serving_of(settings)
        mine = [{"image": image(index), "pipeline": number} for index in range(number, number + 6)]
        answers[number] = run(serving, folder, mine)
        serving.cleanup()

    with WorkerProcess(settings, tmp_path):
        threads = [threading.Thread(target=pipeline, args=(number,), name=f"test-{number}") for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for number in range(3):
        assert [record["pers_qa"] for record in answers[number]] == [
            f"<mam> is {colour(index)}" for index in range(number, number + 6)
        ]


def test_without_a_broker_it_brings_one_and_a_worker(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    settings = scripted(load_settings(database_url=f"sqlite:///{tmp_path}/persqa.db"), "text_or_colour")
    serving = QueueVLMServing(settings=settings, display=quiet, timeout_seconds=60)
    found = run(serving, tmp_path, records[:3])
    serving.cleanup()
    assert [record["pers_qa"] for record in found] == expected([])[:3]
