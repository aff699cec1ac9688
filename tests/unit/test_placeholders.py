"""Placeholders: what no tag, question or system prompt may be, and what dialogues leave out."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persqa.errors import RecordError, SettingsError
from persqa.pairs import PairRow
from persqa.placeholders import LISTED, placeholder_in
from persqa.questions import BUILT_IN_POOLS, load_pool, parse_pool
from persqa.reasons import Reason
from persqa.records import RawRecord, parse_record
from persqa.runs import RunOptions, parse_options
from persqa.tags import parse_tag
from producer.exporters.left import Left
from producer.exporters.shapes import Pair, Shape
from tests.support.exporting import a_row

TAGS = ["image", "<image>", "Image", "IMAGE", "video", "audio", "images", "image1", "image_1", "image-placeholder",
        "video_pad", "image_soft_token", "im_start", "img", "IMG_CONTEXT", "ref-object", "s", "eos"]  # fmt: skip
MARKS = ["<|image_pad|>", "<|vision_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|image_1|>", "</s>",
         "<\uff5cend\u2581of\u2581sentence\uff5c>", "[INST]", "[/INST]", "[IMG]", "<<SYS>>", "</img>"]  # fmt: skip
WORDS = ["mam", "imagine", "imagery", "audiophile", "video-game-hero", "images-of-mam", "sam", "sks", "masked", "boxer",
         "padme", "refuge", "eosine"]  # fmt: skip


@pytest.mark.parametrize("tag", TAGS)
def test_a_tag_that_is_a_placeholder_is_refused_with_the_list_of_them(tag: str) -> None:
    with pytest.raises(RecordError, match=re.escape(LISTED)) as caught:
        parse_tag(tag)
    assert caught.value.reason is Reason.BAD_TAG
    with pytest.raises(SettingsError, match=r"^tag: trainers and models take <"):
        parse_options(tag=tag)
    with pytest.raises(RecordError, match=r"^line 3: choose another tag"):
        parse_record(RawRecord(place="line 3", value={"image": "a.png", "tag": tag}), max_images=1)


@pytest.mark.parametrize("word", WORDS)
def test_other_words_are_tags(word: str) -> None:
    assert parse_options(tag=word).tag == parse_tag(word) == f"<{word}>"


@pytest.mark.parametrize("mark", [*(f"<{tag.strip('<>')}>" for tag in TAGS), *MARKS])
def test_a_question_or_a_system_prompt_with_one_is_refused(mark: str) -> None:
    with pytest.raises(SettingsError, match=r"mine, line 2: \{tag\}") as caught:
        parse_pool("mine", f"Who is {{tag}}?\n{{tag}} is near {mark} now?")
    assert mark in str(caught.value)
    assert LISTED in str(caught.value)
    with pytest.raises(SettingsError, match=r"^system_prompt: "):
        parse_options(system_prompt=f"Look at {mark}.")


@given(st.text(st.characters(exclude_characters="<[")))
def test_text_without_brackets_has_none(text: str) -> None:
    assert placeholder_in(text) is None


@given(st.text(), st.sampled_from(MARKS), st.text())
def test_one_is_found_wherever_it_stands(before: str, mark: str, after: str) -> None:
    assert placeholder_in(before + mark + after) is not None


def test_what_ships_with_us_has_none() -> None:
    assert all(load_pool(name).questions for name in BUILT_IN_POOLS)
    assert parse_options().tag == "<mam>"


def test_a_run_that_is_older_than_the_list_can_still_be_looked_at() -> None:
    old = RunOptions(tag="<video>", system_prompt="See <image>.")
    assert RunOptions.model_validate_json(old.model_dump_json()) == old


def dialogues(rows: list[PairRow], folder: Path, **options: Any) -> tuple[list[Any], list[Left]]:
    left: list[Left] = []
    shape = Shape(chat=options.pop("chat", True), folder=folder, on_left=left.append, **options)
    return list(shape.records(Pair(row=row) for row in rows)), left


def asked(question: str, answer: str, *, position: int = 0, **record: Any) -> PairRow:
    row = a_row({"image": "a.png", **record}, question=question, answer=answer)
    return dataclasses.replace(row, position=position)


@pytest.mark.parametrize("mark", ["<image>", "<video>", *MARKS])
def test_an_answer_or_question_with_one_is_left_out_of_dialogues_and_told(tmp_path: Path, mark: str) -> None:
    rows = [
        asked("Who?", f"<mam> holds {mark}."),
        asked("What?", "<mam> smiles."),
        asked(f"Is {mark} there?", "<mam> nods.", position=1),
    ]
    found, left = dialogues(rows, tmp_path, with_meta=True)
    turns = [[turn["value"] for turn in dialogue["conversations"]] for dialogue in found]
    assert turns == [["<image>\nWhat?", "<mam> smiles."]]
    assert [meta["question"] for meta in found[0]["persqa"]] == ["What?"]
    assert [one.why for one in left] == [
        f"record 1: {mark} in its answer, which trainers do not take for text",
        f"record 2: {mark} in its question, which trainers do not take for text",
    ]
    assert all(one.dropped and not one.reference for one in left)


def test_a_system_turn_with_one_takes_the_record_with_it_where_it_would_be_written(tmp_path: Path) -> None:
    rows = [asked("Who?", "<mam> smiles.", conversation=[{"from": "system", "value": "See <image>."}])]
    assert [len(part) for part in dialogues(rows, tmp_path)] == [0, 1]
    assert [len(part) for part in dialogues(rows, tmp_path, chat="llava")] == [1, 0]


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        ([{"from": "system", "value": "A"}, {"from": "system", "value": "B"}], "A\n\nB"),
        ([{"role": "system", "content": "A"}, {"role": "user", "content": "?"}], "A"),
        ([{"from": "system", "value": None}, {"from": "human", "value": ""}], None),
        ([{"from": "system", "value": "", "weight": 1}], None),
        (None, None),
    ],
)
def test_the_system_turns_of_a_record_are_one_turn_of_text(tmp_path: Path, turns: Any, said: str | None) -> None:
    found, _ = dialogues([asked("Who?", "<mam> smiles.", conversation=turns)], tmp_path)
    first = found[0]["conversations"][0]
    assert first == ({"from": "system", "value": said} if said else {"from": "human", "value": "<image>\nWho?"})
