"""Choosing rows: records with one picture stay together, parts are stable, and nothing is left out untold."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persqa.errors import SettingsError
from persqa.pairs import Flagged
from persqa.store.pictures import Pictured
from producer.choosing import Chooser, parse_split, part_at, part_file
from producer.kin import NEAR_BITS, Kin
from tests.support.exporting import a_row

if TYPE_CHECKING:
    from producer.exporters.left import Left

_HALVES = {"train": 0.5, "test": 0.5}


def _kin(*images: tuple[str, ...], hashes: dict[int, int] | None = None) -> Kin:
    hashes = hashes or {}
    return Kin(Pictured(at, images, hashes.get(at)) for at, images in enumerate(images))


def _flipped(value: int, *bits: int) -> int:
    for bit in bits:
        value ^= 1 << bit
    return value - 2**64 if value >> 63 else value


def test_a_split_is_read_or_refused_with_what_to_write() -> None:
    assert parse_split("train=90%, test=10%") == {"train": 0.9, "test": 0.1}
    assert sum(parse_split("a=33.333333%,b=33.333333%,c=33.333334%").values()) == pytest.approx(1)
    for wrong in ("train=90%", "train=90%,train=10%", "a=100%,b=0%", "", "1st=100%", "a/b=100%"):
        with pytest.raises(SettingsError, match="train=90%,test=10%"):
            parse_split(wrong)


@given(st.floats(0, 1, exclude_max=True))
def test_every_number_falls_into_a_part(share: float) -> None:
    assert part_at({"a": 0.2, "b": 0.3, "c": 0.5}, share) == ("a" if share < 0.2 else "b" if share < 0.5 else "c")
    assert part_at(parse_split("a=33.333333%,b=33.333333%,c=33.333334%"), share)


@pytest.mark.parametrize(
    ("file", "named"),
    [("a.jsonl", "a-test.jsonl"), ("a.b.csv.gz", "a.b-test.csv.gz"), ("x/a", "x/a-test"), ("a.ZST", "a-test.ZST")],
)
def test_a_part_is_named_before_the_suffix(file: str, named: str) -> None:
    assert part_file(Path(file), "test") == Path(named)


def test_records_are_kin_by_any_picture_that_they_share_and_by_pictures_that_look_the_same() -> None:
    kin = _kin(
        ("a", "b"), ("c",), ("b", "d"), ("d",), ("e",), ("f",), (), (), ("g",),
        hashes={1: 5, 4: _flipped(5, 0, 63), 5: _flipped(5, 10, 20, 30), 8: 5},
    )  # fmt: skip
    assert [kin.first(at) for at in range(9)] == [0, 1, 0, 0, 1, 5, 6, 7, 1]
    assert len({kin.share(at, 0) for at in (0, 2, 3)}) == 1
    assert len({kin.share(at, 0) for at in (0, 1, 5, 6, 7)}) == 5
    assert kin.share(0, 0) != kin.share(0, 1)


@given(st.randoms(use_true_random=False))
def test_all_that_look_the_same_are_found_whatever_bits_differ(chance: random.Random) -> None:
    hashes = [chance.getrandbits(64) for _ in range(8)]
    hashes += [_flipped(one, *chance.sample(range(64), chance.randint(0, 4))) % 2**64 for one in hashes]
    kin = _kin(*((f"{at}",) for at in range(16)), hashes={at: _flipped(one) for at, one in enumerate(hashes)})
    for at, one in enumerate(hashes):
        for other_at, other in enumerate(hashes):
            if (one ^ other).bit_count() <= NEAR_BITS:
                assert kin.first(at) == kin.first(other_at)


def test_very_many_pictures_that_look_alike_are_one() -> None:
    many = 1200
    kin = _kin(*((f"{at}",) for at in range(many)), hashes={at: at << 2 for at in range(many)})
    assert {kin.first(at) for at in range(many)} == {0}


def test_parts_have_the_sizes_that_were_asked_for_and_keep_their_pictures_when_a_run_grows() -> None:
    images = [(f"{at % 4000}.png",) for at in range(5000)]
    small, large = _kin(*images[:3000]), _kin(*images)
    parts = {"train": 0.9, "test": 0.1}
    named = [part_at(parts, large.share(at, 7)) for at in range(5000)]
    assert named[:3000] == [part_at(parts, small.share(at, 7)) for at in range(3000)]
    assert Counter(named)["test"] == pytest.approx(500, abs=80)
    of_picture = defaultdict[tuple[str, ...], set[str]](set)
    for at, part in enumerate(named):
        of_picture[images[at]].add(part)
    assert all(len(found) == 1 for found in of_picture.values())


def test_rows_are_left_out_by_what_was_asked_and_each_is_told() -> None:
    rows = [
        replace(a_row({}, answer=answer, question=question), item_id=at, position=position, edited_answer=edited)
        for at, (position, question, answer, edited) in enumerate([
            (0, "q1", None, None), (0, "q2", "He smiles.", None), (1, "q1", "he  SMILES.", None), (1, "q2", "x", None),
            (1, "q3", "y", "z"), (2, "q2", "He smiles.", None), (2, "q3", None, None), (1, "q4", "Z", None),
        ])
    ]  # fmt: skip
    kin = _kin(("a",), ("a",), ("b",))

    def chosen(**how: Any) -> tuple[list[int], dict[str, int]]:
        left: list[Left] = []
        found = [row.item_id for row in Chooser(kin=kin, on_left=left.append, **how).each(rows)]
        assert all(one.why.startswith("record ") for one in left)
        return found, dict(Counter(rule for one in left for rule in one.rules))

    assert chosen() == (list(range(8)), {})
    assert chosen(one_per_image=True) == ([1, 5], {"one_per_image": 6})
    assert chosen(no_duplicates=True) == ([0, 1, 4, 5, 6], {"no_duplicates": 3})
    halves = Chooser(kin=kin, on_left=lambda _left: None, parts=_HALVES)
    found = {name: [row.item_id for row in own.of_part(rows)] for name, own in halves.parted()}
    assert sorted([*found["train"], *found["test"]]) == list(range(8))
    assert {0, 1, 2, 3, 4, 7} <= set(found["train"]) or {0, 1, 2, 3, 4, 7} <= set(found["test"])


def test_flags_that_are_wanted_and_left_out_at_once_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"^there is no flag 'refusl'; did you mean refusal\?$"):
        Flagged.parse(None, "refusl")
    with pytest.raises(SettingsError, match=r"^refusal: wanted and left out at once, so no"):
        Flagged.parse("refusal", ["refusal", "hedge"])
    assert Flagged.parse("refusal,hedge", "hedge") is not None


@pytest.mark.parametrize(
    ("wrong", "right"), [("train=80", "train=80%"), ("train=0.8", "train=80%"), ("a=100", "a=100%")]
)
def test_a_part_without_its_percent_sign_is_told_so(wrong: str, right: str) -> None:
    with pytest.raises(SettingsError, match=f"'{wrong}' lacks the %: write {right}$"):
        parse_split(f"{wrong},test=20%")
