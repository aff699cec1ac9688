"""The operator on a serving that echoes, and how our servings are made."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persqa.blobs import BlobStore
from persqa.dataflow import (
    FileStorage,
    LLMServingABC,
    LocalModelVLMServing_vllm,
    PersQAGenerator,
    PersQAGeneratorPrompt,
    QueueVLMServing,
)
from persqa.errors import SettingsError, UserError
from persqa.prompts import SYSTEM_PROMPT, human_turn
from persqa.questions import load_pool
from persqa.records import record_key
from persqa.runs import RunOptions, Sampling
from persqa.settings import load_settings
from persqa.tags import Tag
from producer import Client
from producer.dataflow.asks import Answer, Ask, prompt_of
from producer.dataflow.servings import PersQAServing
from tests.unit.test_dataflow_storages import storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class Echo(PersQAServing):
    """Answers with the record's position; knows what it was asked."""

    def __init__(self) -> None:
        super().__init__(sampling=Sampling(), seed=5, settings=load_settings(max_images=2))
        self.asked: list[Ask] = []
        self.options: list[RunOptions] = []

    def answer_records(self, asks: Sequence[Ask], options: RunOptions) -> Iterator[Answer]:
        self.options.append(options)
        for ask in asks:
            self.asked.append(ask)
            yield Answer(text=f"{ask.tag} has {ask.position}")

    def cleanup(self) -> None:
        """Nothing to free."""


class Original(LLMServingABC):
    """Anybody's serving, which knows nothing of ours."""

    def __init__(self, answers: list[str] | None = None) -> None:
        self.calls: list[dict[str, Any]] = []
        self._answers = answers

    def generate_from_input(self, user_inputs: list[str], system_prompt: str) -> list[str | None]:
        raise AssertionError(f"this one takes messages, not {user_inputs} and {system_prompt}")

    def generate_from_input_messages(self, **call: Any) -> list[str]:
        self.calls.append(call)
        return self._answers or [f"answer {number}" for number, _ in enumerate(call["conversations"])]

    def cleanup(self) -> None:
        """Nothing to free."""


class APIVLMServing_openai(Original):  # noqa: N801 - the original's name
    """By its name, the one that wants roles."""


RECORDS: list[dict[str, Any]] = [
    {"image": ["a.png"], "source": "s", "conversation": [{"from": "human", "value": ""}]},
    {"image": "b.png", "id": 2},
    {"image": ["c.png", "d.png"], "tag": "bob"},
    {"text": "no image"},
    {"image": None, "conversation": None},
    {"image": 7, "conversation": "?"},
    {"image": ["1", "2", "3"]},
]


def on_disk(tmp_path: Path, records: list[dict[str, Any]], kind: str = "json") -> FileStorage:
    path = tmp_path / "in.json"
    path.write_text(json.dumps(records))
    return storage(tmp_path, kind, str(path))


def written(made: FileStorage) -> list[dict[str, Any]]:
    made.step()
    return made.read("dict")


def test_every_record_comes_back_with_prompt_answer_question_and_reason(tmp_path: Path) -> None:
    serving = Echo()
    made = on_disk(tmp_path, RECORDS)
    assert PersQAGenerator(serving).run(made, "image", "pers_qa") == ["pers_qa"]
    found = written(made)
    for position, (given_record, record) in enumerate(zip(RECORDS, found, strict=True)):
        if position in (5, 6):
            assert record["pers_qa"] is None
            assert record["pers_qa_question"] is None
            assert record["pers_qa_reason"].startswith(("bad_conversation: ", "too_many_images: "))
            assert record["conversation"] == given_record.get("conversation")
            continue
        tag = Tag("<bob>" if position == 2 else "<mam>")
        (question,) = load_pool("human").draw(1, seed=5, key=record_key(json.dumps(given_record)))
        asked = question.ask(tag)
        assert record == {
            **given_record,
            "conversation": [{"from": "human", "value": human_turn(tag, asked)}],
            "pers_qa": f"{tag} has {position}",
            "pers_qa_question": asked,
            "pers_qa_reason": None,
        }
    assert {ask.position: ask.images for ask in serving.asked} == {
        0: ("a.png",), 1: ("b.png",), 2: ("c.png", "d.png"), 3: (), 4: (),
    }  # fmt: skip
    (options,) = serving.options
    assert (options.tag_policy, options.system_prompt) == ("check", SYSTEM_PROMPT)


def test_the_draw_is_that_of_its_seed_and_the_same_whenever_it_is_made(tmp_path: Path) -> None:
    records = [{"image": "a.png", "id": number} for number in range(30)]

    def questions(**options: Any) -> list[str]:
        made = on_disk(tmp_path, records)
        PersQAGenerator(Echo(), **options).run(made)
        return [record["output_question"] for record in written(made)]

    assert questions() == questions() == questions(seed=5)
    assert questions(seed=6) != questions()
    assert len(set(questions())) > 5
    assert set(questions(pool="object", tag="cup")) <= {
        question.ask(Tag("<cup>")) for question in load_pool("object").questions
    }


def test_images_may_be_in_any_column(tmp_path: Path) -> None:
    serving = Echo()
    made = on_disk(tmp_path, [{"image": "thumbnail.png", "photos": ["a.png", None, "b.png"]}, {"photos": "c.png"}])
    PersQAGenerator(serving).run(made, input_modal_key="photos")
    assert {ask.position: ask.images for ask in serving.asked} == {0: ("a.png", "b.png"), 1: ("c.png",)}
    assert [record.get("photos") for record in written(made)] == [["a.png", None, "b.png"], "c.png"]


def test_images_that_are_bytes_go_into_the_blob_store_and_stay_in_their_cells(tmp_path: Path) -> None:
    first = storage(tmp_path, "parquet")
    cells = [
        [{"bytes": b"one", "path": "folder/my cat.png"}, {"bytes": b"two", "path": None}],
        [{"bytes": None, "path": "c.png"}],
        None,
    ]
    first.write([{"image": cell, "number": number} for number, cell in enumerate(cells)])
    first.step()
    serving = Echo()
    PersQAGenerator(serving).run(first)
    one, two = (hashlib.sha256(data).hexdigest() for data in (b"one", b"two"))
    assert {ask.position: ask.images for ask in serving.asked} == {
        0: (f"blob:{one}/folder/my%20cat.png", f"blob:{two}"),
        1: ("c.png",),
        2: (),
    }
    assert BlobStore(serving.settings.blob_store).get(one, max_bytes=10) == b"one"
    assert [record["image"] for record in written(first)] == cells
    original = Original()
    first.reset().step()
    first.step()
    PersQAGenerator(original).run(first)
    assert [record["output"] for record in written(first)] == [None, "answer 0", "answer 1"]


@pytest.mark.parametrize("kind", ["json", "jsonl", "csv", "parquet"])
def test_every_kind_of_file_can_be_read_and_written(tmp_path: Path, kind: str) -> None:
    first = storage(tmp_path, kind)
    first.write(
        [
            {"image": ["a.png", "b.png"], "conversation": [{"from": "human", "value": ""}]},
            {"image": ["c.png"], "conversation": None},
        ]
    )
    serving = Echo()
    first.step()
    PersQAGenerator(serving).run(first)
    assert {ask.position: ask.images for ask in serving.asked} == {0: ("a.png", "b.png"), 1: ("c.png",)}
    found = written(first)
    for record in found:
        turns = record["conversation"]
        turns = json.loads(turns) if isinstance(turns, str) else turns
        assert [turn["from"] for turn in turns] == ["human"]
        assert turns[0]["value"].startswith("The name of the main character in the image is <mam>.")
    assert [record["output"] for record in found] == ["<mam> has 0", "<mam> has 1"]


def test_a_storage_of_anybody_is_read_and_written_as_a_data_frame() -> None:
    class Theirs:
        def read(self, output_type: str) -> pd.DataFrame:
            assert output_type == "dataframe"
            return pd.DataFrame(RECORDS[:4])

        def write(self, data: pd.DataFrame) -> str:
            self.data = data
            return "somewhere"

    theirs, serving = Theirs(), Echo()
    PersQAGenerator(serving).run(theirs, output_key="pers_qa")
    found: Any = theirs.data
    assert list(found["pers_qa"]) == ["<mam> has 0", "<mam> has 1", "<bob> has 2", "<mam> has 3"]
    assert next(iter(found["source"])) == "s"
    assert {ask.position: ask.images for ask in serving.asked}[3] == ()


@pytest.mark.parametrize("serving_class", [Original, APIVLMServing_openai])
def test_servings_of_others_are_asked_as_the_original_asks_them(tmp_path: Path, serving_class: type[Original]) -> None:
    serving = serving_class()
    made = on_disk(tmp_path, RECORDS[:4] + RECORDS[5:6])
    PersQAGenerator(serving, seed=1).run(made, output_key="out")
    found = written(made)
    (call,) = serving.calls
    prompts = [record["conversation"][0]["value"] for record in found[:4]]
    assert call["image_list"] == [["a.png"], ["b.png"], ["c.png", "d.png"], []]
    assert call["system_prompt"] == SYSTEM_PROMPT
    if serving_class is Original:
        marks = ["<image>", "<image>", "<image><image>", ""]
        values = [mark + prompt for mark, prompt in zip(marks, prompts, strict=True)]
        assert call["conversations"] == [[{"from": "human", "value": value}] for value in values]
    else:
        assert call["conversations"] == [[{"role": "user", "content": prompt}] for prompt in prompts]
    assert [record["out"] for record in found] == ["answer 0", "answer 1", "answer 2", "answer 3", None]


def test_a_serving_that_cannot_be_asked_is_refused_with_the_reason(tmp_path: Path) -> None:
    class TextOnly(LLMServingABC):
        def generate_from_input(self, user_inputs: list[str], system_prompt: str) -> list[str | None]:
            return [f"{system_prompt == SYSTEM_PROMPT} {len(text) > 50}" for text in user_inputs]

        def cleanup(self) -> None:
            """Nothing to free."""

    with pytest.raises(UserError, match="TextOnly takes no images"):
        PersQAGenerator(TextOnly()).run(on_disk(tmp_path, RECORDS[:1]))
    made = on_disk(tmp_path, RECORDS[3:4])
    PersQAGenerator(TextOnly()).run(made)
    assert written(made)[0]["output"] == "True True"
    with pytest.raises(UserError, match="gave 1 answers to 2 prompts"):
        PersQAGenerator(Original(["one"])).run(on_disk(tmp_path, RECORDS[:2]))


def test_wrong_options_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="output_key"):
        PersQAGenerator(Echo()).run(on_disk(tmp_path, []), output_key="")
    wrong: list[dict[str, Any]] = [{"tag": "no tag"}, {"pool": "nowhere"}, {"tag_policy": "sometimes"}, {"seed": -1}]
    for options in wrong:
        with pytest.raises(SettingsError):
            PersQAGenerator(Echo(), **options)


def test_an_empty_storage_gives_an_empty_file(tmp_path: Path) -> None:
    made = on_disk(tmp_path, [])
    PersQAGenerator(Echo()).run(made)
    assert written(made) == []


def test_the_prompt_is_a_template_the_questions_and_a_system_prompt() -> None:
    template, questions, system = PersQAGeneratorPrompt().build_prompt()
    assert template.format(sks="mam", query="Who is <mam>?") == human_turn(Tag("<mam>"), "Who is <mam>?")
    assert set(questions) == {"human_qs", "obj_qs"}
    assert all("<sks>" in question for pool in questions.values() for question in pool)
    assert system == SYSTEM_PROMPT


@pytest.mark.parametrize(
    ("conversation", "expected"),
    [
        ([{"from": "human", "value": "<image><image>\nWhat is it?"}], "What is it?"),
        ([{"role": "user", "content": "What?"}, {"role": "assistant", "content": ""}], "What?"),
        ([{"role": "system", "content": "S"}, {"role": "user", "content": [{"type": "image", "image": "a"},
                                                                           {"type": "text", "text": "T"}]}], "T"),
        ([{"from": "human", "value": "Q"}, {"from": "gpt", "value": None}], "Q"),
    ],
)  # fmt: skip
def test_the_prompt_of_a_conversation_is_its_human_turn(conversation: Any, expected: str) -> None:
    assert prompt_of(conversation) == expected


@pytest.mark.parametrize(
    ("conversation", "words"),
    [
        ([], "has 0 human turns"),
        ([{"from": "human", "value": "a"}, {"from": "human", "value": "b"}], "has 2 human turns"),
        ([{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "goes on from an answer"),
    ],
)
def test_a_conversation_of_several_turns_is_refused(conversation: Any, words: str) -> None:
    with pytest.raises(ValueError, match=f"conversation 2: .*{words}"):
        Echo().generate_from_input_messages([[{"from": "human", "value": "a"}], conversation])


def test_the_options_are_the_originals() -> None:
    from inspect import signature

    defaults = {
        name: parameter.default
        for name, parameter in signature(LocalModelVLMServing_vllm).parameters.items()
        if name != "settings"
    }
    assert defaults == {
        "hf_model_name_or_path": None, "hf_cache_dir": None, "hf_local_dir": None, "vllm_tensor_parallel_size": 1,
        "vllm_temperature": 0.7, "vllm_top_p": 0.9, "vllm_max_tokens": 1024, "vllm_top_k": 40,
        "vllm_repetition_penalty": 1.0, "vllm_seed": 42, "vllm_max_model_len": 4096,
        "vllm_gpu_memory_utilization": 0.9,
    }  # fmt: skip
    with pytest.raises(ValueError, match="hf_model_name_or_path is required"):
        LocalModelVLMServing_vllm()
    with pytest.raises(SettingsError, match="vllm_top_p: "):
        LocalModelVLMServing_vllm("a/model", vllm_top_p=2)


class Noted(Exception):
    """The name of the run that would have been submitted."""


@pytest.fixture
def _no_fleet(monkeypatch: pytest.MonkeyPatch) -> None:
    def submit(self: Client, data: object, *, run: str, **_options: object) -> None:  # noqa: ARG001
        raise Noted(run)

    def wait_ready(self: Client) -> None:
        """No worker is started."""

    monkeypatch.setattr(Client, "submit", submit)
    monkeypatch.setattr(Client, "wait_ready", wait_ready)


def run_name(
    folder: Path,
    records: Sequence[dict[str, Any]] = ({"image": "a.png", "id": 1}, {"image": "b.png"}),
    serving_class: Callable[..., PersQAServing] = LocalModelVLMServing_vllm,
    serving: dict[str, Any] | None = None,
    **options: Any,
) -> str:
    """How the run of these records is called; the model is in the folder."""
    settings = load_settings(database_url=f"sqlite:///{folder}/p.db")
    made = serving_class(**{"hf_model_name_or_path": f"{folder}/model", "settings": settings, **(serving or {})})
    with pytest.raises(Noted) as noted:
        PersQAGenerator(made, **options).run(on_disk(folder, list(records)))
    made.cleanup()
    return str(noted.value)


@pytest.mark.usefixtures("_no_fleet")
def test_other_data_options_and_engines_are_other_runs(tmp_path: Path) -> None:
    """Or the answers to one of them would pass for those to the other."""
    first = run_name(tmp_path)
    assert first.startswith("dataflow-")
    assert run_name(tmp_path) == first
    bigger = load_settings(database_url=f"sqlite:///{tmp_path}/p.db", window=3, max_image_bytes=9)
    assert run_name(tmp_path, serving={"vllm_gpu_memory_utilization": 0.5, "settings": bigger}) == first
    half = load_settings(database_url=f"sqlite:///{tmp_path}/p.db", engine_args={"dtype": "float16"})
    records = [{"image": "a.png", "id": 1}, {"image": "b.png"}]
    others = [
        run_name(tmp_path, records[:1]),
        run_name(tmp_path, records[::-1]),
        run_name(tmp_path, [records[0], {**records[1], "more": None}]),
        run_name(tmp_path, seed=1),
        run_name(tmp_path, tag="bob"),
        run_name(tmp_path, tag_policy="repair"),
        run_name(tmp_path, serving={"vllm_seed": 2}),
        run_name(tmp_path, serving={"vllm_temperature": 0.1}),
        run_name(tmp_path, serving={"vllm_max_tokens": 9}),
        run_name(tmp_path, serving={"vllm_max_model_len": 1024}),
        run_name(tmp_path, serving={"settings": half}),
        run_name(tmp_path, serving={"hf_model_name_or_path": "another"}),
        run_name(tmp_path, serving_class=QueueVLMServing),
        run_name(tmp_path, serving_class=QueueVLMServing, seed=1),
        run_name(tmp_path, serving_class=QueueVLMServing, serving={"vllm_temperature": 1.5}),
    ]
    assert len({first, *others}) == 1 + len(others)


@pytest.mark.usefixtures("_no_fleet")
def test_the_same_in_another_folder_of_other_questions_or_a_model_trained_anew_is_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = tmp_path / "pool.txt"
    pool.write_text("Who is {tag}?\n")
    (tmp_path / "model").mkdir()
    names = [run_name(tmp_path), run_name(tmp_path, pool=str(pool))]
    pool.write_text("Who is {tag}?\nWhat does {tag} wear?\n")
    names.append(run_name(tmp_path, pool=str(pool)))
    for training in (b"", b"more"):
        (tmp_path / "model" / "model.safetensors").write_bytes(training)
        names.append(run_name(tmp_path))
    (tmp_path / "model" / "config.json").write_text('{"max_position_embeddings": 2048}')
    names.append(run_name(tmp_path))
    assert run_name(tmp_path) == names[-1]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    names.append(run_name(tmp_path))
    assert len(set(names)) == len(names)


@pytest.mark.usefixtures("_no_fleet")
def test_what_it_keeps_is_in_one_folder_unless_the_settings_say_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PERSQA_BROKER_URL", "redis://nowhere.invalid/0")
    monkeypatch.setenv("PERSQA_BROKER_PASSWORD", "of the fleet")
    serving = LocalModelVLMServing_vllm("a/model", None, None, 2, settings=load_settings(engine_args={"dtype": "half"}))
    serving.cleanup()
    folder = tmp_path / "persqa-serving"
    assert caplog.messages == [f"loading a/model; its answers and its log are kept in {folder}"]
    assert [path.name for path in tmp_path.iterdir()] == ["persqa-serving"]
    assert (folder / "persqa.db").is_file()
    assert serving.settings.blob_store == str(folder / "blobs")
    assert serving.settings.broker_url is None
    assert serving.settings.engine_args == {
        "tensor_parallel_size": 2, "max_model_len": 4096, "gpu_memory_utilization": 0.9, "dtype": "half",
    }  # fmt: skip
    assert serving.sampling.model_dump(exclude_none=True) == {
        "temperature": 0.7, "top_p": 0.9, "top_k": 40, "max_tokens": 1024, "repetition_penalty": 1.0,
    }  # fmt: skip
    monkeypatch.setenv("PERSQA_DATABASE_URL", f"sqlite:///{tmp_path}/mine.db")
    monkeypatch.setenv("PERSQA_BLOB_STORE", f"{tmp_path}/bytes")
    other = LocalModelVLMServing_vllm("a/model", vllm_top_k=-1)
    other.cleanup()
    assert caplog.messages[1].endswith(f"kept in {tmp_path}/mine.db")
    assert other.settings.blob_store == f"{tmp_path}/bytes"
    assert other.sampling.top_k == 0


def test_importing_loads_no_engine_and_changes_no_environment(tmp_path: Path) -> None:
    heavy = ("celery", "kombu", "vllm", "torch", "transformers", "PIL", "pandas", "datasets", "dataflow")
    code = (
        "import os, sys; before = dict(os.environ); import persqa.dataflow;"
        f"print([name for name in {heavy} if name in sys.modules], dict(os.environ) == before)"
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    assert (
        subprocess.check_output([sys.executable, "-c", code], text=True, env=environment, cwd=tmp_path) == "[] True\n"
    )


fields = st.dictionaries(
    st.text(max_size=4).filter(lambda name: name not in ("image", "conversation", "tag", "output")),
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=4) | st.lists(st.text(max_size=2)),
    max_size=3,
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(records=st.lists(fields, max_size=4), pictures=st.booleans())
def test_the_fields_of_a_record_are_never_touched(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]], pictures: bool
) -> None:
    folder = tmp_path_factory.mktemp("run")
    whole = [{**record, "image": "a.png"} if pictures else record for record in records]
    made = on_disk(folder, whole)
    PersQAGenerator(Echo()).run(made)
    found = written(made)
    assert [
        {name: record[name] for name in given_record} for given_record, record in zip(whole, found, strict=True)
    ] == whole
    assert [record["output"] for record in found] == [f"<mam> has {number}" for number in range(len(whole))]
