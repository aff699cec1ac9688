"""The operator on a serving that echoes, and how our servings are made."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persqa.blobs import BlobStore
from persqa.dataflow import (
    LLMServingABC,
    LocalModelVLMServing_vllm,
    PersQAGenerator,
    PersQAGeneratorPrompt,
)
from persqa.errors import SettingsError, UserError
from persqa.prompts import SYSTEM_PROMPT, human_turn
from persqa.questions import load_pool
from persqa.records import record_key
from persqa.tags import Tag
from producer.dataflow.asks import prompt_of
from tests.support.servings import RECORDS, APIVLMServing_openai, Echo, Original, on_disk, storage, written


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
    import pandas as pd

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
    with pytest.raises(UserError, match="gave 1 answer to 2 prompts"):
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
