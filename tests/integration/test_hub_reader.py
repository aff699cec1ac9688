"""Data sets by name: streamed from a hub, and refused in a sentence where there is no way to it.

The libraries read where the hub is when they are imported, so what reads from it is a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from persqa.errors import InputError
from tests.support.hub import COMMIT, local_hub
from tests.support.reading import opened
from tests.support.thousand import as_data_set, picture, reference, thousand

_READ = """
import json, sys
from persqa.errors import InputError
from tests.support.reading import opened
try:
    reader = opened(sys.argv[1], split=sys.argv[2] or None, blobs=sys.argv[3])
    first = [raw.value for raw in reader]
    print(json.dumps([reader.name, first, first == [raw.value for raw in reader]]))
except InputError as error:
    print(json.dumps(str(error)))
"""


class Hub:
    """A hub with the data set `org/faces` in two splits, and `org/photos` with its pictures inside."""

    def __init__(self, folder: Path, url: str, asked: list[str]) -> None:
        self.asked = asked
        self._folder = folder
        self.environment = {"HF_ENDPOINT": url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(folder / "home")}

    def read(self, reference: str, split: str = "") -> Any:
        command = [sys.executable, "-c", _READ, reference, split, str(self._folder / "blobs")]
        environment = {**os.environ, **self.environment}
        root = Path(__file__).parents[2]
        done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    import datasets

    served = tmp_path / "served"
    for name, rows in (("train", thousand()[:4]), ("test", thousand()[4:6])):
        path = served / "faces" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        as_data_set(rows).to_parquet(str(path))
    cells = [{"image": {"bytes": picture(index), "path": f"{index}.png"}} for index in range(3)]
    (served / "photos").mkdir()
    pictures: Any = datasets.Dataset.from_list(cells).cast_column("image", datasets.Image())
    pictures.to_parquet(str(served / "photos" / "train.parquet"))
    with local_hub(served) as (url, asked):
        yield Hub(tmp_path, url, asked)


def test_a_split_is_streamed_and_again_from_the_same_commit(hub: Hub) -> None:
    assert hub.read("hf://org/faces", "test") == ["faces-test", thousand()[4:6], True]
    files = [path for path in hub.asked if path.endswith("test.parquet")]
    assert files
    assert all(f"/{COMMIT}/" in path for path in files)
    assert not [path for path in hub.asked if "/main/" in path]


def test_pictures_in_a_data_set_become_blobs(hub: Hub) -> None:
    name, found, same = hub.read("hf://datasets/org/photos@main")
    assert (name, same) == ("photos", True)
    assert found == [{"image": f"{reference(index)}/{index}.png"} for index in range(3)]


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        ("hf://org/faces", "", "hf://org/faces has several splits: choose train or test with split"),
        ("hf://org/faces", "dev", "hf://org/faces: there is no split 'dev'; choose train or test"),
        ("hf://org/nobody", "", "hf://org/nobody: the data set cannot be read from the hub: "),
        ("hf://org/faces:nothing", "train", "hf://org/faces:nothing: the data set cannot be read from the hub: "),
    ],
)
def test_what_is_not_there_is_refused(hub: Hub, name: str, split: str, message: str) -> None:
    assert str(hub.read(name, split)).startswith(message)


def test_a_hub_that_does_not_answer_is_refused(hub: Hub) -> None:
    hub.environment["HF_ENDPOINT"] = "http://127.0.0.1:9"
    assert str(hub.read("hf://org/faces")).startswith("hf://org/faces: the data set cannot be read from the hub: ")


def test_a_machine_that_is_offline_says_so() -> None:
    for reader in (opened("hf://org/faces"), opened("org/faces", input_format="hf")):
        with pytest.raises(InputError, match="HF_HUB_OFFLINE is set"):
            list(reader)


def test_what_names_no_data_set_is_refused() -> None:
    for name in ("hf://", "hf://a/b/c", "hf://a b"):
        with pytest.raises(InputError, match="expected hf://org/name"):
            opened(name)
    reader = opened("hf://org/faces@v1:small", split="train")
    assert (reader.name, reader.base) == ("faces-small-train", Path.cwd())
