"""Reports, cards and split exports of a run with known contents, on both databases."""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import DatasetCard

from persqa.errors import InputError, SettingsError
from persqa.flags import Finding, Flag
from persqa.items import ItemId
from persqa.policies import Rung
from persqa.provenance import Provenance
from persqa.results import Outcome, Status
from persqa.runs import parse_options
from persqa.settings import load_settings
from persqa.spot_checks import Check
from persqa.store import Store
from persqa.store.spot_checks import SpotCheck
from persqa.verdicts import ViolationKind
from producer import Client, RunHandle
from producer.cli import main
from tests.support.answered import picture
from tests.support.builders import a_violation, an_item, an_outcome

_PROVENANCE = Provenance(model="m", files="f" * 64, revision="r" * 40, engine="vllm 0.32.0", version="0.1.0")
#: Options that no person writes as Python does.
_TYPED: dict[str, Any] = {"reject": "meta", "stop_if": "dead>1%", "spot_check": "blind=20%", "repeatable": True}
_PROMPT = "Say `it` in one line.\n```\nNo more."


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    with Client(load_settings(database_url=database_url), local_worker=False) as client:
        Store.open(database_url).close()
        yield client


def _outcome(run: Any, index: int) -> Outcome:
    item = an_item(run.id, index, images=(f"{index // 2}.png",))
    common: dict[str, Any] = {
        "output_tokens": 7,
        "prompt_tokens": 30,
        "engine_seconds": 0.5,
        "answer": f"<mam> wears {index // 2}.",
    }
    flags = (Finding(Flag.REFUSAL, 1.0),) if index % 20 == 0 else ()
    looks = random.Random(index // 2).getrandbits(63)
    if index % 10 == 9:
        broken = a_violation(item, Rung.FREE, ViolationKind.LATE_TAG)
        outcome = an_outcome(item, Status.NONCOMPLIANT, reason=ViolationKind.LATE_TAG, rung=Rung.RESEED, **common)
        return Outcome(outcome.result, (broken,), findings=flags, picture_hash=looks)
    rung = Rung.PREFILL if index % 10 == 8 else Rung.FREE
    return Outcome(an_outcome(item, rung=rung, **common).result, findings=flags, picture_hash=looks)


@pytest.fixture
def run(client: Client, tmp_path: Path) -> RunHandle:
    """A run of 100 records, two for each picture, all but one answered: of ten one is noncompliant, one forced."""
    for index in range(50):
        picture(tmp_path / f"{index}.png", index)
    stored = client.store.runs.create(
        "people", options=parse_options(seed=3, system_prompt=_PROMPT, **_TYPED), pool_digest="p", fingerprint="f" * 64,
        base=str(tmp_path), item_count=100,
    )  # fmt: skip
    client.store.ledger.add([an_item(stored.id, at, images=(f"{at // 2}.png",)) for at in range(100)], [])
    client.store.results.provenances.answer_with(_PROVENANCE)
    client.store.results.commit([_outcome(stored, index) for index in range(99)])
    return client.run("people")


def test_a_report_says_what_is_in_the_database(
    run: RunHandle, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run.review([run.run.id * 10**10], decision="accepted")
    monkeypatch.setattr("sys.argv", ["persqa", "report", "people", "--database-url", run.database_url, "--json"])
    with pytest.raises(SystemExit, match="0"):
        main()
    said = json.loads(capsys.readouterr().out)
    assert (said["submitted"], said["ok"], said["noncompliant"], said["pending"]) == (100, 90, 9, 1)
    (asked,) = said["questions"]
    assert (asked["answers"], asked["first_try"], asked["tag_written"], asked["broken"]) == (99, 80, 10, 9)
    assert asked["by_itself"]["items"] == 80
    assert 0.71 < asked["by_itself"]["low"] < 80 / 99 < asked["by_itself"]["high"] < 0.88
    assert said["flags"]["refusal"]["items"] == 5
    assert said["reasons"] == [{"status": "noncompliant", "reason": "late_tag", "items": 9}]
    assert (said["violations"], said["reviews"]) == ({"late_tag": 9}, {"accepted": 1})
    assert said["provenance"] == [
        {"model": "m", "revision": "r" * 40, "files": "f" * 64, "engine": "vllm 0.32.0", "persqa": "0.1.0"}
    ]
    page = tmp_path / "page.html"
    assert run.write_report(page) == 24
    for words in ("Which questions keep the rule", "refusal", "What answered", "f" * 64, "late_tag (noncompliant)"):
        assert words in page.read_text()
    for words in (">meta<", ">dead&gt;1%<", ">blind=20%<", ">yes<", "characters: 99 of 99 answers.", "All at "):
        assert words in page.read_text()
    with pytest.raises(InputError, match="exists"):
        run.write_report(page)


def test_what_spot_checks_say_is_in_every_form_of_a_report(
    run: RunHandle, client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(*more: str) -> str:
        monkeypatch.setattr("sys.argv", ["persqa", "report", "people", "--database-url", run.database_url, *more])
        with pytest.raises(SystemExit, match="0"):
            main()
        return capsys.readouterr().out

    assert json.loads(said("--json"))["spot_checks"] == {"checks": {}, "from_picture": [], "sentences": []}
    assert "spot check" not in said()
    for row in list(run.results())[:40]:
        assert row.answer is not None
        for check, answer in ((Check.BLIND, "<mam> wears none."), (Check.AGAIN, row.answer)):
            asked = SpotCheck(
                item_id=ItemId(row.item_id), run_id=run.run.id, check=check, status=Status.OK, seed=1, answer=answer
            )
            client.store.spot_checks.add([asked], requeues=0)
    found = json.loads(said("--json", "--html", "page.html", "--card", "card.md"))["spot_checks"]
    assert (found["checks"]["blind"]["same"]["part"], found["checks"]["again"]["same"]["part"]) == (0, 40)
    blind, again, seen = found["sentences"]
    assert "answers for which the tag was written" in said("--look-over")
    assert json.loads(said("--look-over", "--json"))["look_over"] == {"flags_set": 0, "flags_taken_back": 0}
    assert seen.startswith("100.0 % of the answers come from the picture")
    shown = " ".join(said().split())
    assert all(f"spot check {sentence}" in shown for sentence in (blind, again, seen))
    page = (tmp_path / "page.html").read_text()
    assert all(sentence in page for sentence in (blind, again, seen))
    assert all(f"- {sentence}" in (tmp_path / "card.md").read_text() for sentence in (blind, again, seen))


def test_a_card_is_one_that_the_hub_reads_and_hides_nothing(run: RunHandle, tmp_path: Path) -> None:
    run.write_card(tmp_path / "README.md")
    text = (tmp_path / "README.md").read_text()
    card = DatasetCard(text, ignore_metadata_errors=False)
    front = yaml.safe_load(text.split("---\n")[1])
    assert card.data.to_dict() == front
    assert front["license"] == "unknown"
    assert (front["language"], front["size_categories"]) == (["en"], ["n<1K"])
    assert front["task_categories"] == ["visual-question-answering", "image-text-to-text"]
    for words in (
        "f" * 64,
        "r" * 40,
        "vllm 0.32.0",
        "| ok | 90 | 90.9 % |",
        "| refusal | 5 |",
        "late\\_tag 9",
        "Seed | 3",
    ):
        assert words in text
    # What was said to the model is there, and ends nothing by its own marks.
    assert f"````text\n{_PROMPT}\n````" in text
    assert text.count("…") == 6, "what people have to fill in"


@pytest.mark.parametrize("split", [None, "train=80%,test=20%"])
def test_a_data_set_has_its_card_where_the_hub_looks_for_it(run: RunHandle, tmp_path: Path, split: str | None) -> None:
    import datasets

    parts = dict[str, int]()
    number = run.export(tmp_path / "set", file_format="hf", only="ok", split=split, on_part=parts.__setitem__)
    card = DatasetCard.load(tmp_path / "set" / "README.md")
    (config,) = card.data.to_dict()["configs"]
    loaded: Any = datasets.load_from_disk(str(tmp_path / "set"))
    found = loaded if split else {"train": loaded}
    assert {name: len(rows) for name, rows in found.items()} == (parts or {"train": 90})
    assert number == 90
    for one in config["data_files"]:
        files = list((tmp_path / "set").glob(one["path"]))
        assert files, "the hub finds the files of each split"
        assert f"{len(found[one['split']])} in `{one['split']}`" in card.text
    assert "Only items that are `ok`." in card.text
    assert "absolute paths on the machine that made this data set" in card.text
    assert "Answers in these rows |" in card.text
    assert re.search(r"\| 90 \|$", card.text, re.MULTILINE), "the answers of the rows, and not the 99 of the run"
    assert "Flags of these rows: seen\\_before 40, refusal 5." in card.text
    assert "Of 100 items, 99 have ended." in card.text
    assert card.text.count(" to 20") == 0, "one day is no span"
    if not split:
        run.export(tmp_path / "kept", file_format="hf", without_flag="refusal", reviewed="not-rejected", paths="copy")
        kept = (tmp_path / "kept" / "README.md").read_text()
        assert "All but what people rejected." in kept
        assert "Flags of these rows: seen\\_before 49." in kept
        assert "| 94 |" in kept
        assert "absolute paths" not in kept
    run.export(tmp_path / "set", file_format="hf", overwrite=True)


def test_no_picture_is_on_both_sides_of_a_split_and_parts_are_the_same_each_time(
    run: RunHandle, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["persqa", "export", "people", "out.jsonl", "--database-url", run.database_url, "--split", "a=70%,b=30%"]
    monkeypatch.setattr("sys.argv", argv)
    with pytest.raises(SystemExit, match="0"):
        main()
    said = capsys.readouterr().out
    parts = {name: (tmp_path / f"out-{name}.jsonl").read_text() for name in "ab"}
    numbers = {name: text.count("\n") for name, text in parts.items()}
    assert said.startswith(
        f"100 rows written: {numbers['a']} to out-a.jsonl, {numbers['b']} to out-b.jsonl, 1 of them without"
    )
    pictures = defaultdict[str, set[str]](set)
    for name, text in parts.items():
        for line in text.splitlines():
            pictures[json.loads(line)["image"][0]].add(name)
    assert len(pictures) == 50
    assert all(len(found) == 1 for found in pictures.values())
    assert min(text.count("\n") for text in parts.values()) >= 10
    with pytest.raises(InputError, match=r"out-a\.jsonl exists"):
        run.export(tmp_path / "out.jsonl", split="a=70%,b=30%")
    assert run.export(tmp_path / "out.jsonl", split="a=70%,b=30%", overwrite=True) == 100
    assert {name: (tmp_path / f"out-{name}.jsonl").read_text() for name in "ab"} == parts
    with pytest.raises(SettingsError, match="train=90%,test=10%"):
        run.export(tmp_path / "no.jsonl", split="a=70%")


def test_rows_that_are_left_out_are_counted(run: RunHandle, tmp_path: Path) -> None:
    left = list[str]()
    assert run.export(tmp_path / "one.csv", one_per_image=True, on_left=lambda one: left.extend(one.rules)) == 50
    assert left == ["one_per_image"] * 50
    left.clear()
    assert run.export(tmp_path / "new.csv", no_duplicates=True, on_left=lambda one: left.extend(one.rules)) == 51
    assert left == ["no_duplicates"] * 49
