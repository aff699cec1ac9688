"""Question pools and the draw."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persqa.errors import SettingsError
from persqa.questions import BUILT_IN_POOLS, TAG_FIELD, load_pool, parse_pool
from tests.support.builders import MAM

TOPICS = {"attire", "hair_colour", "hairstyle", "eyes", "glasses", "accessories", "skin_tone", "build", "expression"}


@pytest.mark.parametrize("name", BUILT_IN_POOLS)
def test_a_built_in_pool_has_ten_well_formed_questions_or_more(name: str) -> None:
    pool = load_pool(name)
    assert len(pool.questions) >= 10
    for question in pool.questions:
        assert question.template.count(TAG_FIELD) == 1
        assert question.template.endswith("?")
        assert question.template[0].isupper()
        assert question.topic.isidentifier()


def test_the_human_pool_covers_what_it_should() -> None:
    assert {question.topic for question in load_pool("human").questions} >= TOPICS | {"pose", "features"}


def test_the_question_of_the_seed_is_asked_word_for_word() -> None:
    asked = {question.ask(MAM) for question in load_pool("human").questions}
    assert "How would you describe <mam>'s attire?" in asked


def test_the_draw_never_changes() -> None:
    # These words are what runs in the field were made with: a change here breaks their repetition.
    drawn = load_pool("human").draw(3, seed=7, key="a-record")
    assert [question.topic for question in drawn] == ["build", "hair_colour", "accessories"]


@given(seed=st.integers(0, 2**63 - 1), key=st.text(max_size=20), count=st.integers(1, 12))
def test_a_draw_is_repeatable_and_has_no_question_twice(seed: int, key: str, count: int) -> None:
    pool = load_pool("human")
    drawn = pool.draw(count, seed=seed, key=key)
    assert drawn == pool.draw(count, seed=seed, key=key)
    assert len(set(drawn)) == count


@given(seed=st.integers(0, 2**63 - 1), key=st.text(max_size=20))
def test_more_questions_begin_with_the_same_ones(seed: int, key: str) -> None:
    pool = load_pool("object")
    assert pool.draw(5, seed=seed, key=key)[:3] == pool.draw(3, seed=seed, key=key)


def test_every_question_has_its_chance() -> None:
    pool = load_pool("human")
    drawn = Counter(pool.draw(1, seed=1, key=str(number))[0].template for number in range(6000))
    assert len(drawn) == len(pool.questions)
    assert min(drawn.values()) > 400
    assert max(drawn.values()) < 600


def test_more_than_the_pool_has_is_refused() -> None:
    with pytest.raises(SettingsError, match="13 were asked for"):
        load_pool("human").draw(13, seed=0, key="")


def test_a_byte_order_mark_is_no_part_of_a_question(tmp_path: Path) -> None:
    file = tmp_path / "questions.txt"
    file.write_text(f"\ufeffpose: How does {TAG_FIELD} stand?\n", encoding="utf-8")
    assert [question.topic for question in load_pool(str(file)).questions] == ["pose"]


def test_a_file_makes_a_pool(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("# mine\n\nmood: How does {tag} feel?\nLook closely: what is {tag} doing?\n", "utf-8")
    pool = load_pool(str(file))
    assert [question.topic for question in pool.questions] == ["mood", "Look closely: what is {tag} doing?"]
    assert pool.questions[0].ask(MAM) == "How does <mam> feel?"


@pytest.mark.parametrize(
    "content",
    ["", "# nothing\n", "Who is {tag}?\nWho is {tag}?\n", "Who is {tag}?\nWhere is he?\n", "x" * 1001, "a\0b"],
)
def test_a_wrong_file_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "mine.txt"
    file.write_text(content, "utf-8")
    with pytest.raises(SettingsError):
        load_pool(str(file))


def test_a_pool_that_is_not_there_is_refused_with_the_known_names() -> None:
    with pytest.raises(SettingsError, match="human or object"):
        load_pool("humans")


def test_the_digest_tells_pools_apart() -> None:
    who = "Who is {tag}?"
    assert parse_pool("a", who).digest == parse_pool("b", who).digest != parse_pool("a", "What is {tag}?").digest


@pytest.mark.parametrize("template", ["Where is he?", "Where is {Tag}?", "Where is <mam>?"])
def test_a_question_that_does_not_ask_about_the_character_is_refused_with_its_line(template: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_pool("mine.txt", f"# mine\nmood: How does {{tag}} feel?\nplace: {template}\n")
    assert f"mine.txt, line 3: the question does not ask about the main character: {template}" in str(caught.value)
    assert "write {tag} for the name" in str(caught.value)
