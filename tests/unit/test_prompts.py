"""The words given to the model."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from persqa.conversations import rewrite_conversation
from persqa.prompts import human_turn
from tests.support.builders import MAM


def test_the_human_turn_is_the_seeds_byte_for_byte() -> None:
    assert human_turn(MAM, "How would you describe <mam>'s attire?").encode() == (
        b"The name of the main character in the image is <mam>. You need to answer a question about <mam>.\n"
        b"Question: How would you describe <mam>'s attire? Please answer starting with <mam>!\n"
        b"Answer: "
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, [{"from": "human", "value": "P"}]),
        ([], [{"from": "human", "value": "P"}]),
        ([{"from": "human", "value": ""}], [{"from": "human", "value": "P"}]),
        ([{"from": "user", "value": "x", "id": 1}], [{"from": "user", "value": "P", "id": 1}]),
        (
            [{"from": "system", "value": "s"}, {"from": "human", "value": "a"}, {"from": "gpt", "value": "b"},
             {"from": "human", "value": "c"}],
            [{"from": "system", "value": "s"}, {"from": "human", "value": "P"}, {"from": "gpt", "value": "b"},
             {"from": "human", "value": "c"}],
        ),
        ([{"from": "system", "value": "s"}], [{"from": "system", "value": "s"}, {"from": "human", "value": "P"}]),
        ([{"from": "gpt", "value": "b"}], [{"from": "human", "value": "P"}, {"from": "gpt", "value": "b"}]),
    ],
)  # fmt: skip
def test_the_first_human_turn_carries_the_prompt(given: list[JsonValue] | None, expected: list[JsonValue]) -> None:
    before = None if given is None else list(given)
    assert rewrite_conversation(given, "P") == expected
    assert given == before
