"""Data sets on disk, as `save_to_disk` writes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from persqa.errors import InputError
from tests.support.reading import opened, values
from tests.support.thousand import as_data_set, thousand


def _is_even(record: dict[str, int]) -> bool:
    return record["number"] % 2 == 0


@pytest.fixture
def splits(tmp_path: Path) -> Path:
    import datasets

    given = as_data_set(thousand()[:6])
    both = datasets.DatasetDict({"train": given.select(range(4)), "test": given.select(range(4, 6))})
    both.save_to_disk(str(tmp_path / "faces"))
    return tmp_path / "faces"


def test_a_split_is_chosen_by_option_or_by_its_folder(splits: Path) -> None:
    reader = opened(splits, split="test")
    assert values(reader) == thousand()[4:6] == values(opened(splits / "test"))
    assert (reader.name, reader.base) == ("faces-test", splits)
    assert values(opened(splits, split="train", input_format="hf")) == thousand()[:4]


@pytest.mark.parametrize(("split", "message"), [(None, "has several splits"), ("dev", "there is no split 'dev'")])
def test_a_data_set_of_several_splits_asks_for_one(splits: Path, split: str | None, message: str) -> None:
    with pytest.raises(InputError, match=f"{message}.* choose train or test"):
        list(opened(splits, split=split))


def test_a_split_is_refused_where_there_is_none(splits: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no splits.*: leave split out"):
        list(opened(splits / "train", split="train"))
    with pytest.raises(InputError, match=r"has no splits.*: leave split out"):
        opened(tmp_path, split="train")


def test_rows_that_were_chosen_and_shuffled_come_in_their_new_order(tmp_path: Path) -> None:
    given = as_data_set(thousand()[:50]).shuffle(seed=1).filter(_is_even)
    given.save_to_disk(str(tmp_path / "some"))
    found = values(opened(tmp_path / "some"))
    assert found == list(given)
    assert found != thousand()[:50:2]


def test_labels_stay_numbers_and_arrays_become_lists(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features(
        {
            "image": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["cat", "dog"]),
            "box": datasets.Array2D(shape=(2, 2), dtype="int32"),
        }
    )
    rows = [{"image": "a", "label": 1, "box": [[1, 2], [3, 4]]}]
    datasets.Dataset.from_list(rows, features=features).save_to_disk(str(tmp_path / "set"))
    assert values(opened(tmp_path / "set")) == rows


@pytest.mark.parametrize("damage", ["cut off", "cut off between batches", "gone", "not json", "no state"])
def test_a_folder_that_is_not_whole_is_refused(splits: Path, damage: str) -> None:
    folder = splits / "train"
    (data,) = folder.glob("data-*.arrow")
    match damage:
        case "cut off":
            data.write_bytes(data.read_bytes()[:700])
        case "gone":
            data.unlink()
        case "cut off between batches":
            data.write_bytes(data.read_bytes()[:-8])
        case "not json":
            (folder / "state.json").write_text("{")
        case _:
            (folder / "state.json").write_text(json.dumps({}))
    with pytest.raises(InputError, match=r"train(:| \()"):
        list(opened(folder))


def test_a_folder_that_is_no_data_set_is_refused_as_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a whole data set of Hugging Face"):
        list(opened(tmp_path, input_format="hf"))
