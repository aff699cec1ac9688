"""The model on this machine: a real worker process and a broker of its own, and programs that end in every way."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from persqa.dataflow import LocalModelVLMServing_vllm, PersQAGenerator
from persqa.errors import WorkerDied
from persqa.settings import load_settings
from producer import Client
from tests.integration.test_dataflow import colour, image
from tests.support.builders import write_images
from tests.support.wait import wait_until
from tests.support.workers import scripted
from tests.unit.test_dataflow_generator import on_disk, written

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The engine of the shared serving writes there what it is asked, a line each."""
    return tmp_path_factory.mktemp("notes") / "notes"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, notes: Path) -> Iterator[LocalModelVLMServing_vllm]:
    """A serving for all tests of this module; the tag of a call says what the engine does."""
    database = f"sqlite:///{tmp_path_factory.mktemp('serving')}/persqa.db"
    settings = load_settings(database_url=database, item_seconds=3.0, hang_seconds=2.9, commit_seconds=0.05)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SCRIPT_NOTES", str(notes))
        environment.setenv("SCRIPT_SECONDS", "60")
        serving = LocalModelVLMServing_vllm("a/model", settings=scripted(settings, "named_by_tag"))
    yield serving
    serving.cleanup()


@pytest.fixture
def local(tmp_path: Path, shared: LocalModelVLMServing_vllm, notes: Path) -> Iterator[LocalModelVLMServing_vllm]:
    """The shared one, and images in the working directory."""
    write_images(tmp_path / "data", 5)
    notes.write_text("")
    yield shared
    with Client(shared.settings) as client:
        assert all(run.audit().holds for run in client.runs())


def answers(serving: LocalModelVLMServing_vllm, folder: Path, records: Any, **options: Any) -> list[dict[str, Any]]:
    made = on_disk(folder, records)
    PersQAGenerator(serving, **options).run(made, output_key="out")
    return written(made)


def codes(found: Sequence[dict[str, Any]]) -> list[str | None]:
    return [record["out_reason"] and record["out_reason"].split(":")[0] for record in found]


def test_each_record_has_the_answer_to_its_own_images_and_a_bad_one_harms_nobody(
    tmp_path: Path, local: LocalModelVLMServing_vllm
) -> None:
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    records = [{"image": image(0)}, {"image": "bad.png"}, {"image": [image(1), image(2)]}, {"image": "none.png"},
               {"image": "/etc/passwd"}, {"x": 1}, {"image": image(0)}]  # fmt: skip
    found = answers(local, tmp_path, records)
    assert [record["out"] for record in found] == [
        f"<mam> is {colour(0)}", None, f"<mam> is {colour(1)}/{colour(2)}", None, None, "<mam> is unseen",
        f"<mam> is {colour(0)}",
    ]  # fmt: skip
    assert codes(found) == [None, "broken_image", None, "not_found", "outside_roots", None, None]


def test_operators_of_others_may_call_it_in_every_way(
    local: LocalModelVLMServing_vllm, caplog: pytest.LogCaptureFixture
) -> None:
    assert local.generate_from_input(["one", "two"], "sys") == ["sys|one|", "sys|two|"]
    found = local.generate_from_input(
        ["one", "two", "none", "  "], "", [[image(1), image(2)], image(3), ["none.png"], None]
    )
    assert found == [f"|one|{colour(1)}/{colour(2)}", f"|two|{colour(3)}", None, None]
    assert "2 of 4 records have no answer" in caplog.text
    assert "record 3: not_found: none.png: no such file" in caplog.text
    turns = [[{"from": "human", "value": "<image>\nWho?"}], [{"role": "user", "content": "What?"}]]
    assert local.generate_from_input_messages(turns, [[image(0)], []], system_prompt="sys") == [
        f"sys|Who?|{colour(0)}",
        "sys|What?|",
    ]
    assert local.generate_from_input([], "sys") == []
    assert local.generate_from_input_one_image([image(0), image(1)], ["a", "b"], "s", model="any", timeout=9) == [
        f"s|a|{colour(0)}",
        f"s|b|{colour(1)}",
    ]
    labels = [["page 1", ""], ["cover"]]
    assert local.generate_from_input_multi_images([[image(0), image(1)], [image(2)]], labels, ["Which?", ""]) == [
        f"|Which?\nImage 1: page 1|{colour(0)}/{colour(1)}",
        f"|Image 1: cover|{colour(2)}",
    ]
    with pytest.raises(ValueError, match="2 prompts, but 1 lists of images"):
        local.generate_from_input(["a", "b"], "", [[]])
    with pytest.raises(ValueError, match="videos and sounds"):
        local.generate_from_input_messages(turns, video_list=[["a.mp4"], []])
    assert local.generate_from_input_messages(turns, None, [None, None], [[], []])[0] is not None


def test_the_tag_policy_is_kept_where_it_is_asked_for(tmp_path: Path, local: LocalModelVLMServing_vllm) -> None:
    for policy, answer, reason in (
        ("check", "The person wears a hat.", "missing_tag"),
        ("repair", "<never_the_tag> wears a hat.", None),
    ):
        (record,) = answers(local, tmp_path, [{"image": image(0)}], tag="never_the_tag", tag_policy=policy)
        # What the script says after the prefill is not the engine's business.
        assert (record["out"], record["out_reason"]) == (answer, reason)


#: Scripts, which items they are about, by number, and what becomes of those.
_SCRIPTS: list[tuple[str, Callable[[int], bool], str]] = [
    ("dies_once", lambda _: False, ""),
    ("poison", lambda item: item % 10_000 == 3, "kills_engine"),
    ("too_long", lambda item: item % 3 == 0, "too_long"),
    ("defect", lambda item: item % 3 == 0, "internal_error"),
    ("third_takes_long", lambda item: item % 10_000 == 3, "time_limit"),
]


@pytest.mark.parametrize(("script", "hit", "reason"), _SCRIPTS, ids=[script for script, _, _ in _SCRIPTS])
def test_what_one_record_does_to_the_engine_is_not_its_neighbours_business(
    tmp_path: Path, local: LocalModelVLMServing_vllm, notes: Path, script: str, hit: Callable[[int], bool], reason: str
) -> None:
    if script == "dies_once":
        notes.unlink()
    found = answers(local, tmp_path, [{"image": image(index)} for index in range(5)], tag=script)
    with Client(local.settings) as client:
        items = [row.item_id for row in client.runs()[0].results()]
    assert codes(found) == [reason if hit(item) else None for item in items]


def test_what_is_answered_is_not_asked_again_and_what_failed_is(
    tmp_path: Path, local: LocalModelVLMServing_vllm, notes: Path
) -> None:
    records = [{"image": image(0)}, {"image": "later.png"}, {"image": image(1)}]
    assert codes(answers(local, tmp_path, records)) == [None, "not_found", None]
    assert local.generate_from_input(["a"], "s", [["later.png"]]) == [None]
    (tmp_path / image(2)).rename(tmp_path / "later.png")
    assert [record["out"] for record in answers(local, tmp_path, records)] == [
        f"<mam> is {colour(index)}" for index in (0, 2, 1)
    ]
    for _ in range(2):
        assert local.generate_from_input(["a"], "s", [["later.png"]]) == [f"s|a|{colour(2)}"]
    assert len(notes.read_text().split()) == 4


def test_the_same_names_in_another_folder_are_other_images(
    tmp_path: Path, local: LocalModelVLMServing_vllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert local.generate_from_input(["a"], "s", [[image(0)]]) == [f"s|a|{colour(0)}"]
    (tmp_path / "other" / "data" / "images").mkdir(parents=True)
    (tmp_path / image(1)).rename(tmp_path / "other" / image(0))
    monkeypatch.chdir(tmp_path / "other")
    assert local.generate_from_input(["a"], "s", [[image(0)]]) == [f"s|a|{colour(1)}"]


def test_it_may_be_called_from_several_threads(local: LocalModelVLMServing_vllm) -> None:
    found: dict[int, list[str | None]] = {}

    def ask(number: int) -> None:
        found[number] = local.generate_from_input([f"{number}"] * 3, "s", [[image(number)]] * 3)

    threads = [threading.Thread(target=ask, args=(number,), name=f"test-{number}") for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [f"s|{number}|{colour(number)}"] * 3 for number in range(4)}


# The interrupt may come while a socket is opened, which nobody has then, and which Python closes.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
def test_a_call_that_is_broken_off_is_not_answered_behind_the_callers_back_and_goes_on_when_made_again(
    tmp_path: Path, local: LocalModelVLMServing_vllm, notes: Path
) -> None:
    def break_off() -> None:
        wait_until(lambda: bool(notes.read_text()), describe="it is asked")
        _thread.interrupt_main()

    records = [{"image": image(index % 5), "id": index} for index in range(600)]
    thread = threading.Thread(target=break_off, name="test-interrupt")
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        answers(local, tmp_path, records, tag="slow")
    thread.join()
    with Client(local.settings) as client:
        run = client.runs()[0]
        assert run.run.state == "paused"
        assert run.progress().pending > 300
    assert local.generate_from_input(["next"], "s") == ["s|next|"]
    assert codes(answers(local, tmp_path, records, tag="slow")) == [None] * 600
    asked = notes.read_text().split()
    assert len(asked) == len(set(asked)) == 601


def test_after_its_worker_has_died_it_starts_another_and_so_it_does_after_cleanup(tmp_path: Path) -> None:
    before = set(psutil.Process().children())
    serving = LocalModelVLMServing_vllm("a/model", settings=scripted(load_settings(), "text_or_colour"))
    for child in set(psutil.Process().children()) - before:
        if "worker" in child.cmdline():
            child.kill()
    with pytest.raises(WorkerDied, match=r"exit code -9; the end of .*/persqa-serving/persqa-worker.log"):
        serving.generate_from_input(["one"], "s")
    assert serving.generate_from_input(["one"], "s") == ["s|one|"]
    serving.cleanup()
    serving.cleanup()
    assert set(psutil.Process().children()) == before
    serving.start_serving()
    serving.start_serving()
    assert serving.generate_from_input(["two"], "s") == ["s|two|"]
    serving.cleanup()
    assert [path.name for path in tmp_path.iterdir()] == ["persqa-serving"]


# --- programs ---
