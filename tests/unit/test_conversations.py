"""Turns of either form mean the same, and what is asked of a model has no marks of images in it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from pydantic import JsonValue

from persqa.conversations import rewrite_conversation, system_of, without_image_tokens
from persqa.errors import RecordError
from persqa.reasons import Reason
from persqa.records import RawRecord, parse_record
from producer.exporters.shapes import Pair, Shape, exported_record
from tests.support.exporting import PROMPT, a_row
from tests.unit.test_records import json_values

IMAGE: JsonValue = {"type": "image"}
SAID: JsonValue = {"type": "text", "text": "<image>Who?"}


def parse(conversation: JsonValue, *, field: str = "conversation") -> None:
    parse_record(RawRecord(place="line 7", value={"image": "a.png", field: conversation}), max_images=1)


@pytest.mark.parametrize(
    "conversation",
    [
        [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": None}],
        [{"role": "user", "content": [IMAGE, SAID]}],
        [{"role": "user", "content": [IMAGE, "Who?"]}],
        [{"role": "system", "content": ""}, {"from": "human", "value": "Who?"}],
        [{"from": None, "value": None, "role": "user", "content": "Who?"}],
        [{"role": "tool"}],
    ],
)
def test_turns_with_roles_are_understood(conversation: JsonValue) -> None:
    parse(conversation)


@pytest.mark.parametrize(
    ("conversation", "words"),
    [
        ([{"role": 5, "content": "x"}], 'turn 1 is not an object with "from" and "value", or "role" and "content"'),
        ([{"role": "user", "content": 5}], 'turn 1: "content" must be text or a list of parts, found a number'),
        ([{"role": "user", "content": [5]}], 'turn 1: "content" must be text or a list of parts, found a list'),
        ([{"from": "human", "value": {"a": 1}}], "found an object with 'a'"),
        ("text", "expected a list in `conversation`, found text"),
    ],
)
def test_what_is_no_turn_says_so(conversation: JsonValue, words: str) -> None:
    with pytest.raises(RecordError) as caught:
        parse(conversation)
    assert caught.value.reason is Reason.BAD_CONVERSATION
    assert words in str(caught.value)


@given(json_values)
def test_other_fields_may_hold_whatever_they_like(value: JsonValue) -> None:
    for field in ("conversations", "messages"):
        parse(value, field=field)
        assert isinstance(system_of({field: value}), str)


@pytest.mark.parametrize(
    ("given_turns", "expected"),
    [
        ([{"role": "user", "content": "x", "id": 1}], [{"role": "user", "content": "P", "id": 1}]),
        (
            [{"role": "system", "content": "s"}, {"role": "assistant", "content": "b"}],
            [
                {"role": "system", "content": "s"},
                {"role": "user", "content": "P"},
                {"role": "assistant", "content": "b"},
            ],
        ),
        (
            [{"role": "user", "content": [IMAGE, SAID]}],
            [{"role": "user", "content": [IMAGE, {"type": "text", "text": "P"}]}],
        ),
        (
            [{"from": None, "value": None, "role": "user", "content": "x"}],
            [{"from": None, "value": None, "role": "user", "content": "P"}],
        ),
    ],
)
def test_the_prompt_stands_in_the_first_turn_of_a_person_in_its_form(given_turns: Any, expected: JsonValue) -> None:
    assert rewrite_conversation(given_turns, "P") == expected


@pytest.mark.parametrize(
    "record",
    [
        {"conversation": [{"from": "system", "value": "Be brief."}, {"from": "human", "value": "x"}]},
        {"conversation": [{"role": "system", "content": "Be brief."}]},
        {"messages": [{"role": "system", "content": [{"type": "text", "text": "Be brief."}]}]},
        {"conversations": [{"from": "system", "value": "Be brief."}, {"from": "gpt", "value": "y"}]},
        {"conversation": None, "messages": [{"role": "system", "content": "Be brief."}]},
    ],
)
def test_the_system_turn_stays_in_front_of_a_dialogue_wherever_it_was(record: dict[str, JsonValue]) -> None:
    row = a_row({"image": "a.png", **record})
    (dialogue,) = Shape(chat=True).records([Pair(row=row)])
    turns = dialogue["conversations"]
    assert isinstance(turns, list)
    assert turns[0] == {"from": "system", "value": "Be brief."}
    assert [turn["from"] for turn in turns if isinstance(turn, dict)] == ["system", "human", "gpt"]


def test_an_export_leaves_the_dialogues_of_the_data_alone() -> None:
    turns: JsonValue = [{"from": "human", "value": "<image>\nWho?"}, {"from": "gpt", "value": "<mam>."}]
    record: JsonValue = {"image": "a.png", "conversations": turns, "messages": "none"}
    found = exported_record(a_row(record), "out")
    assert (found["conversations"], found["messages"]) == (turns, "none")
    assert found["conversation"] == [{"from": "human", "value": PROMPT}]


def test_marks_of_images_are_not_asked_of_a_model() -> None:
    def ask(prompt: str) -> str:
        raw = RawRecord(place="line 7", value={"prompt": prompt, "image": "a.png"})
        return parse_record(raw, max_images=1, verbatim=True).prompt

    assert ask("<image>\nWho is <mam>?") == without_image_tokens("Who is <image><mam>?") == "Who is <mam>?"
    with pytest.raises(RecordError, match="nothing but marks of images") as caught:
        ask("<image>\n")
    assert caught.value.reason is Reason.BAD_PROMPT


@pytest.mark.parametrize(
    ("record", "references"),
    [
        ({"image": {"bytes": None, "path": "a.png", "width": 4}}, "a.png"),
        ({"image": [{"path": "a.png"}, "b.png"]}, ["a.png", "b.png"]),
        ({"image": [{"path": "a.png"}]}, "a.png"),
    ],
)
def test_a_dialogue_has_the_references_of_cells(record: JsonValue, references: JsonValue) -> None:
    (dialogue,) = Shape(chat=True).records([Pair(row=a_row(record))])
    assert dialogue["image"] == references
