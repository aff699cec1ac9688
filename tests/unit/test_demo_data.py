"""Portraits are what their words say, and the demo data is the same every time."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat

from persqa.errors import UserError
from persqa.questions import load_pool
from persqa.tags import parse_tag
from persqa.verdicts import judge
from producer.demo import ATTRIBUTES, Person, draw, random_person, true_answers
from producer.demo.data import records_file, write_demo_data
from tests.support.builders import generation

_SEEN_IN_NO_ANSWER = {"background", "background_colour"}


def person(**attributes: str) -> Person:
    return replace(random_person(random.Random(7)), **attributes)


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_every_question_of_the_human_pool_has_an_answer_that_keeps_the_tag_rule() -> None:
    answers = true_answers(person())
    assert list(answers) == [question.template for question in load_pool("human").questions]
    tag = parse_tag("mam")
    for question in load_pool("human").questions:
        text = answers[question.template].replace("{tag}", tag)
        assert judge(generation(text), tag=tag, question=question.ask(tag)) is None


@pytest.mark.parametrize("attribute", sorted(ATTRIBUTES.keys() - _SEEN_IN_NO_ANSWER))
def test_every_value_of_an_attribute_is_told_apart_by_the_answers(attribute: str) -> None:
    said = [tuple(true_answers(person(**{attribute: value})).values()) for value in ATTRIBUTES[attribute]]
    assert len(set(said)) == len(said)


@pytest.mark.parametrize("attribute", sorted(ATTRIBUTES))
def test_every_value_of_an_attribute_is_told_apart_by_the_picture(attribute: str) -> None:
    """The same chances, another value: enough of the picture changes to be seen at the size the model sees."""
    pictures = [draw(person(**{attribute: value}), random.Random(1), 128) for value in ATTRIBUTES[attribute]]
    for first, second in combinations(pictures, 2):
        changed = sum(ImageChops.difference(first, second).convert("L").histogram()[24:])
        assert changed >= 12


@given(seed=st.integers())
def test_the_same_seed_is_the_same_person(seed: int) -> None:
    found = random_person(random.Random(seed))
    assert found == random_person(random.Random(seed))
    assert all(getattr(found, name) in values for name, values in ATTRIBUTES.items())


def test_a_portrait_is_the_same_in_every_size_and_another_one_by_every_chance() -> None:
    large, small = (draw(person(), random.Random(3), side) for side in (384, 96))
    difference = ImageChops.difference(large.resize((96, 96), Image.Resampling.LANCZOS), small)
    assert max(ImageStat.Stat(difference).mean) < 3
    assert draw(person(), random.Random(3), 96).tobytes() == small.tobytes()
    assert draw(person(), random.Random(4), 96).tobytes() != small.tobytes()


def test_demo_data_is_records_pictures_and_the_truth_in_one_order(tmp_path: Path) -> None:
    assert list(write_demo_data(5, tmp_path / "more")) == [1, 2, 3, 4, 5]
    assert list(write_demo_data(2, tmp_path / "few")) == [1, 2]
    records, truth = lines(tmp_path / "more" / "more.jsonl"), lines(tmp_path / "more" / "truth.jsonl")
    assert [record["image"] for record in records] == [line["image"] for line in truth]
    for line in truth:
        who = Person(**line["attributes"])
        assert line["answers"] == true_answers(who)
        with Image.open(tmp_path / "more" / line["image"]) as picture:
            assert picture.size == (384, 384)
    assert len({json.dumps(line["attributes"]) for line in truth}) == 5
    for line in lines(tmp_path / "few" / "truth.jsonl"):
        assert line in truth
        pictures = [(tmp_path / folder / line["image"]).read_bytes() for folder in ("few", "more")]
        assert pictures[0] == pictures[1]


def test_another_seed_draws_other_people(tmp_path: Path) -> None:
    for seed in (0, 1):
        list(write_demo_data(2, tmp_path / str(seed), seed=seed))
    first, second = (lines(tmp_path / str(seed) / "truth.jsonl") for seed in (0, 1))
    assert [line["attributes"] for line in first] != [line["attributes"] for line in second]


def test_demo_data_is_not_written_over(tmp_path: Path) -> None:
    list(write_demo_data(1, tmp_path))
    before = records_file(tmp_path).read_bytes()
    with pytest.raises(UserError, match=r"\.jsonl exists already"):
        list(write_demo_data(2, tmp_path, seed=1))
    assert records_file(tmp_path).read_bytes() == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        list(write_demo_data(1, tmp_path / "file" / "folder"))


def test_an_interrupted_drawing_leaves_no_records_and_can_be_repeated(tmp_path: Path) -> None:
    drawing = write_demo_data(40, tmp_path)
    assert next(drawing) == 1
    del drawing
    assert not records_file(tmp_path).exists()
    list(write_demo_data(3, tmp_path))
    assert len(lines(records_file(tmp_path))) == 3


def test_pictures_that_are_there_are_not_drawn_over(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    dear = tmp_path / "images" / "portrait-000002.jpg"
    dear.write_bytes(b"dear")
    with pytest.raises(UserError, match=r"portrait-000002\.jpg exists already"):
        list(write_demo_data(2, tmp_path))
    assert dear.read_bytes() == b"dear"
    assert list(write_demo_data(1, tmp_path)) == [1]
