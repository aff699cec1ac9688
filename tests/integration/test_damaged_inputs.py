"""Whatever happens to the bytes of an input, reading it gives records or says in a sentence that it cannot."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from persqa.errors import InputError, RecordError
from persqa.records import parse_record
from tests.support.reading import opened
from tests.support.thousand import EXACT, TEXTUAL, thousand, write_shards

FORMATS: dict[str, Callable[[Path], Path]] = {
    **{name: lambda folder, write=write: write(folder, thousand()[:20]) for name, write in EXACT.items()},
    **{name: lambda folder, write=write: write(folder, thousand()[:20]) for name, write in TEXTUAL.items()},
    "tar": lambda folder: Path(write_shards(folder, thousand()[:5])).with_name("shard-000.tar"),
    "tar.gz": lambda folder: Path(write_shards(folder, thousand()[:5], packed=True)).with_name("shard-000.tar.gz"),
}


@cache
def whole(name: str, folder: Path) -> Path:
    """An input that is as it should be, written once."""
    kept = folder / name.replace(" ", "-")
    kept.mkdir()
    return FORMATS[name](kept)


damages = st.lists(
    st.tuples(
        st.sampled_from(["cut", "set", "insert", "drop"]), st.floats(0, 1, exclude_max=True), st.binary(max_size=9)
    ),
    min_size=1,
    max_size=3,
)


def damage(content: bytes, what: list[tuple[str, float, bytes]]) -> bytes:
    for kind, where, data in what:
        at = int(where * len(content))
        match kind:
            case "cut":
                content = content[:at]
            case "set":
                content = content[:at] + data + content[at + len(data) :]
            case "insert":
                content = content[:at] + data + content[at:]
            case _:
                content = content[:at] + content[at + len(data) :]
    return content


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=40, deadline=None)
@example(what=[("set", 0.443359375, b"\x80")], which=0)
@given(what=damages, which=st.integers(0, 5))
def test_a_damaged_input_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, what: list[tuple[str, float, bytes]], which: int
) -> None:
    base = tmp_path_factory.getbasetemp() / "whole"
    base.mkdir(exist_ok=True)
    good = whole(name, base)
    copy = tmp_path_factory.mktemp("damaged") / good.name
    if good.is_dir():
        shutil.copytree(good, copy)
        files = sorted(path for path in copy.rglob("*") if path.is_file())
        broken = files[which % len(files)]
    else:
        shutil.copy(good, copy)
        broken = copy
    broken.write_bytes(damage(broken.read_bytes(), what))
    with suppress(InputError):
        for raw in opened(copy, input_format="hf" if good.is_dir() else None):
            assert json.loads(raw.json) is not None or raw.value is None
            with suppress(RecordError):
                parse_record(raw, max_images=2)
