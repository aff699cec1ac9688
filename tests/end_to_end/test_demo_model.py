"""The demo model through everything there is: its answers are true, each of its own image, and start with the tag."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from persqa.questions import load_pool
from persqa.results import Status
from persqa.spot_checks import Check
from producer import Client, RunHandle
from scripts.demo_model.tags import HELD_OUT_TAGS
from tests.conftest import Size
from tests.end_to_end.conftest import Demo
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from persqa.pairs import PairRow

_ROOT = Path(__file__).parents[2]
_QUESTIONS = load_pool("human").questions
#: As its accuracy is measured and stated.
_GREEDY = {"temperature": 0}

pytestmark = pytest.mark.timeout(900)

#: Right answers by image, then by question template; `{tag}` stands for the tag.
Truth = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Asking:
    """People whose answers are known, and whoever asks about them."""

    client: Client
    people: Path
    truth: Truth

    def run(self, name: str, records: list[dict[str, Any]], **options: Any) -> RunHandle:
        data = self.people / f"{name}.jsonl"
        data.write_text("".join(json.dumps(record) + "\n" for record in records))
        run = self.client.submit(data, **options)
        run.wait(timeout_seconds=600, display=lambda _progress: None)
        return run


@pytest.fixture
def asking(demo: Demo) -> Iterator[Asking]:
    with Client(demo.settings) as client:
        yield Asking(client, demo.people, read_truth(demo.people))


def read_truth(folder: Path) -> Truth:
    lines = (json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines())
    return {line["image"]: line["answers"] for line in lines}


def is_true(row: PairRow, answers: dict[str, str]) -> bool:
    """Whether a row says exactly what is true, and of the image that the answers are of."""
    template = row.question.replace(row.tag, "{tag}")
    return row.answer == answers[template].replace("{tag}", row.tag)


def accuracies(rows: list[PairRow], truth: Callable[[PairRow], dict[str, str]]) -> dict[str, float]:
    """The share of exact answers, by topic and question."""
    right: defaultdict[str, list[bool]] = defaultdict(list)
    for row in rows:
        right[row.question].append(is_true(row, truth(row)))
    return {question: sum(found) / len(found) for question, found in right.items()}


def test_answers_about_people_never_seen_are_true(asking: Asking, size: Size) -> None:
    images = list(asking.truth)[: size(80, 320)]
    records = [{"image": image} for image in images]
    run = asking.run(
        "people", records, tag="mam", tag_policy="check", questions_per_image=len(_QUESTIONS), sampling=_GREEDY
    )
    rows = list(run.results())
    assert len(rows) == len(records) * len(_QUESTIONS)

    by_question = accuracies(rows, lambda row: asking.truth[row.image])
    assert len(by_question) == len(_QUESTIONS)
    assert min(by_question.values()) >= size(92, 95) / 100, by_question
    assert sum(by_question.values()) / len(by_question) >= size(97, 98) / 100, by_question
    assert run.progress().ended[Status.OK] / len(rows) >= 0.99
    assert {row.model for row in rows} == {"demo"}
    # An honest run: hardly an answer, and no picture, is worth a second look.
    assert sum(run.flags().values()) <= len(rows) / 100, run.flags()

    # What the sum above would be if rows were mixed up: each answer held against the next image's truth.
    neighbour = dict(zip(images, images[1:] + images[:1], strict=True))
    mixed_up = accuracies(rows, lambda row: asking.truth[neighbour[row.image]])
    assert max(mixed_up.values()) < 0.5, mixed_up


def test_tags_never_seen_are_taken_over(asking: Asking, size: Size) -> None:
    images = list(asking.truth)[: size(80, 150)]
    tags = [HELD_OUT_TAGS[index % len(HELD_OUT_TAGS)] for index in range(len(images))]
    records = [{"image": image, "tag": tag} for image, tag in zip(images, tags, strict=True)]
    run = asking.run("tags", records, tag_policy="check", questions_per_image=4, sampling=_GREEDY, logprobs=True)
    rows = list(run.results())
    forced = asking.run("forced", records[:20], tag_policy="prefill", sampling=_GREEDY, logprobs=True)
    for row in [*rows, *forced.results()]:
        assert row.answer is not None
        assert row.logprob_mean is not None
        assert row.logprob_min is not None
        assert row.logprob_min_token is not None
        assert -20 < row.logprob_min <= row.logprob_mean <= 0
        said = row.answer.removeprefix(row.tag) if row.forced else row.answer
        assert row.logprob_min_token.strip() in said
        # What a model was taught it is sure of.
        assert row.logprob_mean > -2
    assert {row.tag for row in rows} == set(HELD_OUT_TAGS)
    right = [is_true(row, asking.truth[row.image]) for row in rows]
    assert sum(right) / len(right) >= 0.95
    for tag in HELD_OUT_TAGS:
        of_tag = [found for row, found in zip(rows, right, strict=True) if row.tag == tag]
        assert sum(of_tag) / len(of_tag) >= 0.8, tag


def test_a_first_run_needs_no_setting_and_answers_right(tmp_path: Path) -> None:
    """What `make run` does, on the examples, with everything embedded."""
    command = [sys.executable, "-m", "producer.cli", "run", str(_ROOT / "examples" / "portraits.jsonl"), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    truth = read_truth(_ROOT / "examples")
    with Client(database_url=f"sqlite:///{tmp_path}/persqa.db", broker_url="redis://unused") as client:
        rows = list(client.run("portraits").results())
    assert len(rows) == len(truth) == 12
    assert sum(is_true(row, truth[row.image]) for row in rows) >= 11, [row.answer for row in rows]


def test_answers_without_their_picture_or_with_another_are_told_from_real_ones(asking: Asking, size: Size) -> None:
    images = list(asking.truth)[: size(60, 200)]
    every = {"blind": 1.0, "swapped": 1.0, "again": 1.0}
    run = asking.run("checked", [{"image": image} for image in images], tag_policy="check", spot_check=every)
    wait_until(
        lambda: sum(one.asked for one in run.spot_checks().checks.values()) == 3 * len(images),
        describe="all spot checks are there",
        seconds=300,
    )
    found = run.spot_checks()
    again, blind, swapped = (found.checks[check] for check in (Check.AGAIN, Check.BLIND, Check.SWAPPED))
    assert again.same.value >= 0.8, found
    assert max(blind.same.high, swapped.same.high) < again.same.low, found
    assert {one.against for one in found.from_picture if one.is_seen} == {Check.BLIND, Check.SWAPPED}

    # And held against the truth, of which the checks know nothing.
    rows = {row.item_id: row for row in run.results()}
    true: defaultdict[Check, list[bool]] = defaultdict(list)
    for one in asking.client.store.spot_checks.of(run.run.id):
        row = rows[one.item_id]
        true[one.check].append(is_true(replace(row, answer=one.checked), asking.truth[row.image]))
    right = {check: sum(said) / len(said) for check, said in true.items()}
    assert right[Check.AGAIN] >= 0.8, right
    assert max(right[Check.BLIND], right[Check.SWAPPED]) < 0.6, right
