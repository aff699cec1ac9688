"""What was planted in a run of portraits is what its report finds: refusals, stock answers, blank pictures, copies."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from persqa.flags import Flag
from producer import Client
from producer.cli import main
from producer.demo import draw, random_person, true_answers
from tests.integration.test_worker import quiet
from tests.support.flag_corpus import TAG, sentences
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from persqa.pairs import PairRow
    from tests.conftest import Site, Size

#: Small ones have the same edges, and are drawn ten times as fast.
_SIDE = 96
_QUESTIONS = 3
_LOOK = "What does {tag} look like?"
_POOL = f"""look: {_LOOK}
hair: What is the color of {{tag}}'s hair?
glasses: Is {{tag}} wearing glasses, and if so, what kind?
expression: What expression does {{tag}} have?
pose: What pose is {{tag}} in?
"""
_STOCK = "{tag} is a very nice person to look at."
_LOOK_STOCK = "{tag} has long hair and a red coat, and stands there."
#: What is asked of near copies: docs/quality.md measures 0.96 for large ones that were compressed much harder.
_RECALL_OF_NEAR = 0.9


@dataclass(frozen=True)
class Album:
    """Portraits with known answers, some of which are not what they should be.

    Attributes:
        records: their file.
        answers: by image, the right answer by question template.
        planted: by image, what was done to it; `near` is a copy that was compressed once more.
    """

    records: Path
    answers: dict[str, dict[str, str]]
    planted: dict[str, str]


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory, size: Size) -> Album:
    """Of fifty portraits one is blank, one tiny, one blurred, one a copy, and one nearly one, of another portrait."""
    folder = tmp_path_factory.mktemp("album")
    (folder / "images").mkdir()
    planted, answers = dict[str, str](), dict[str, dict[str, str]]()
    kinds = {10: "blank", 20: "tiny", 30: "blurred", 40: "copy", 45: "near"}
    for number in range(size(200, 2000)):
        chance = random.Random(f"planted/{number}")
        person = random_person(chance)
        image, kind = f"images/{number}.jpg", kinds.get(number % 50)
        portrait = draw(person, chance, _SIDE)
        # Nothing was done to the third one before it.
        earlier = folder / f"images/{number - 3}.jpg"
        match kind:
            case "blank":
                Image.new("RGB", (_SIDE, _SIDE), (chance.randrange(256),) * 3).save(folder / image)
            case "tiny":
                portrait.resize((_SIDE // 2, _SIDE // 2)).save(folder / image, quality=90)
            case "blurred":
                portrait.resize((8, 8)).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC).save(folder / image)
            case "copy":
                (folder / image).write_bytes(earlier.read_bytes())
            case "near":
                Image.open(earlier).save(folder / image, quality=75)
            case _:
                portrait.save(folder / image, quality=90)
        if kind is not None:
            planted[image] = kind
        looks = f"{{tag}} has {person.hair_colour} hair, {person.eye_colour} eyes and a {person.attire_colour} coat."
        answers[image] = true_answers(person) | {_LOOK: looks}
    (folder / "pool.txt").write_text(_POOL)
    records = folder / "planted.jsonl"
    records.write_text("".join(json.dumps({"image": image, "tag": "mam"}) + "\n" for image in answers))
    return Album(records, answers, planted)


def _plan(rows: list[PairRow], album: Album, *, refusals: int) -> tuple[dict[int, str], dict[Flag, set[int]]]:
    """What is answered to each item, and the items of which it is a refusal or a stock answer."""
    said = {row.item_id: album.answers[row.image][_template(row)] for row in rows}
    chance = random.Random(5)
    words = [one.answer.replace(TAG, "{tag}") for one in sentences("refusal") if one.deserves]
    left = [row for row in rows if row.image not in album.planted]
    chance.shuffle(left)
    planted = dict(zip((row.item_id for row in left), chance.sample(words, refusals), strict=False))
    refused, left = set(planted), left[refusals:]
    look = [row.item_id for row in left if _template(row) == _LOOK]
    planted |= dict.fromkeys(look[: len(look) // 5], _LOOK_STOCK)
    others = [row.item_id for row in left if _template(row) != _LOOK]
    planted |= dict.fromkeys(others[: len(rows) // 25], _STOCK)
    answers = {item: (planted.get(item) or answer).replace("{tag}", TAG) for item, answer in said.items()}
    return answers, {Flag.REFUSAL: refused, Flag.STOCK_ANSWER: planted.keys() - refused}


def _template(row: PairRow) -> str:
    return row.question.replace(row.tag, "{tag}")


def test_a_report_finds_what_was_planted_and_nothing_else(
    site: Site, album: Album, size: Size, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    plan = tmp_path / "plan.json"
    monkeypatch.setenv("SCRIPT_ANSWERS", str(plan))
    settings = scripted(site.settings, "as_planned").model_copy(update={"image_roots": [album.records.parent]})
    with Client(settings) as client:
        run = client.submit(
            album.records, pool=str(album.records.with_name("pool.txt")), questions_per_image=_QUESTIONS
        )
        rows = list(run.results())
        answers, planted = _plan(rows, album, refusals=size(20, 50))
        by_image = defaultdict[str, set[int]](set)
        for row in rows:
            by_image[album.planted.get(row.image, "")].add(row.item_id)
        plan.write_text(json.dumps(answers))
        with WorkerProcess(settings, tmp_path):
            run.wait(timeout_seconds=size(60, 300), display=quiet)
        command = ["persqa", "report", "planted", "--look-over", "--json", "--database-url", run.database_url]
        monkeypatch.setattr("sys.argv", command)
        with pytest.raises(SystemExit, match="0"):
            main()
        found = {Flag(name): one["items"] for name, one in json.loads(capsys.readouterr().out)["flags"].items()}
        flagged = {flag: {row.item_id for row in run.results(flag=flag.value)} for flag in found}
    planted |= {Flag(kind): by_image[kind] for kind in ("blank", "tiny", "blurred")}
    assert found == {flag: len(items) for flag, items in flagged.items()}
    seen = flagged.pop(Flag.SEEN_BEFORE)
    assert {flag: flagged[flag] for flag in planted} == planted
    # A refusal may be hedged, or in another language, and a stock answer says nothing; a true answer has no flag.
    assert set[int]().union(*flagged.values()) == set[int]().union(*planted.values())
    assert by_image["copy"] <= seen
    # Portraits have one layout: of millions of pairs, one or the other is nearly the same by chance.
    assert len(seen - by_image["copy"] - by_image["near"]) <= len(rows) // 500
    assert len(seen & by_image["near"]) >= _RECALL_OF_NEAR * len(by_image["near"])
