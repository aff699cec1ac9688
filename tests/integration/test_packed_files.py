"""Files packed with gzip or Zstandard: read as they are unpacked, and refused where the packing is broken."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from persqa.errors import InputError
from tests.support.reading import opened, values, write

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}
LINES = b"".join(b'{"image": "images/%d.png", "noise": "%d"}\n' % (number, number**7) for number in range(20_000))
ARRAY = b"[" + LINES.strip().replace(b"\n", b",") + b"]"
TABLE = b"image,noise\n" + b"".join(b"images/%d.png,%d\n" % (number, number**7) for number in range(20_000))
TEXTS = {"json": ARRAY, "jsonl": LINES, "csv": TABLE}


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("name", TEXTS)
def test_a_packed_file_that_is_cut_off_or_damaged_is_refused(tmp_path: Path, name: str, packing: str) -> None:
    whole = PACK[packing](TEXTS[name])
    assert len(values(opened(write(tmp_path, f"a.{name}.{packing}", whole)))) == 20_000
    half = len(whole) // 2
    damaged = whole[:half] + bytes(255 - byte for byte in whole[half : half + 64]) + whole[half + 64 :]
    for broken in (whole[:half], whole[:-3], damaged, b"not packed at all", whole + b"more"):
        with pytest.raises(InputError, match=rf"a\.{name}\.{packing}: "):
            list(opened(write(tmp_path, f"a.{name}.{packing}", broken)))


@pytest.mark.parametrize("packing", PACK)
def test_packed_files_that_were_joined_are_one(tmp_path: Path, packing: str) -> None:
    pack = PACK[packing]
    path = write(tmp_path, f"a.jsonl.{packing}", pack(b'{"image": "a"}\n') + pack(b'{"image": "b"}\n'))
    assert values(opened(path)) == [{"image": "a"}, {"image": "b"}]


def test_a_packed_file_may_be_called_anything_if_its_format_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "people.GZ", gzip.compress(b"image\na\n"))
    reader = opened(path, input_format="csv")
    assert values(reader) == [{"image": "a"}]
    assert reader.name == "people"


@pytest.mark.parametrize("name", ["a.parquet.gz", "a.png.zst", "a.parquet.zst"])
def test_what_must_be_read_in_any_order_may_not_be_packed(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="unpack it first"):
        opened(write(tmp_path, name, b""))
