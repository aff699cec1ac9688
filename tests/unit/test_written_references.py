"""References as their writers meant them: base64 in whatever form, cells of data sets, and what a field may hold."""

from __future__ import annotations

import csv
import io
import json
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import JsonValue

from persqa.blobs import BlobStore, blob_reference, digest_of
from persqa.data_uris import decode_data_uri, is_data_uri
from persqa.errors import RecordError
from persqa.images import shown_reference
from persqa.questions import parse_pool
from persqa.reasons import Reason
from persqa.records import RawRecord, RecordLimits, parse_record
from persqa.runs import parse_options
from persqa.urls import as_path, is_relative_path, scheme_of
from producer.itemizing import Itemizer
from tests.support.exporting import a_row, data_set, export, parquet_rows
from tests.support.pictures import FORMATS, encoded, noise, quarters
from tests.support.reading import opened, values, write

PNG = encoded(quarters(), "PNG")
BARE = b64encode(PNG).decode()


def images_of(value: JsonValue, *, image_optional: bool = False) -> tuple[str, ...]:
    raw = RawRecord(place="line 7", value={"image": value})
    return parse_record(raw, max_images=3, image_optional=image_optional).images


def refusal(value: JsonValue) -> tuple[Reason, str]:
    with pytest.raises(RecordError) as caught:
        images_of(value)
    return caught.value.reason, str(caught.value).removeprefix("line 7: ")


class TestBareBase64:
    @pytest.mark.parametrize("kind", [*FORMATS, "AVIF"])
    @pytest.mark.parametrize("side", [1, 40])
    def test_every_kind_of_picture_is_taken_in_either_alphabet_and_in_lines(self, kind: str, side: int) -> None:
        data = encoded(noise(side, side), kind)
        standard, safe = b64encode(data).decode(), urlsafe_b64encode(data).decode()
        lines = "\r\n".join(standard[at : at + 76] for at in range(0, len(standard), 76))
        for text in (standard, safe, lines, standard.rstrip("="), f" {standard}\n", f"data:image/png,{standard}"):
            assert is_data_uri(text), text[:60]
            assert not is_relative_path(text)
            assert decode_data_uri(text, max_bytes=len(data)) == data
            assert images_of(text) == (text,)

    def test_megabytes_are_shown_in_a_few_letters(self) -> None:
        large = b64encode(PNG + bytes(3_000_000)).decode()
        assert is_data_uri(large)
        assert len(shown_reference(large)) < 50
        assert len(refusal(["a", large[5:]])[1]) < 400

    @pytest.mark.parametrize(
        "path",
        ["/9j/a.jpg", "/9j/4AAQSkZJRg", f"/9j/{'folder/' * 20}a.jpg", "iVBORw0KGgo.png", f"images/{'a' * 64}",
         f"{'ab/' * 30}{'0' * 64}", "UklGR/picture", f"./{BARE}", f"{BARE[:200]}.png", 90 * "folder\\" + "a.png"],
    )  # fmt: skip
    def test_paths_stay_paths(self, path: str) -> None:
        assert scheme_of(path) == ""
        assert images_of(path) == (path,)

    @pytest.mark.parametrize(
        ("text", "reason", "words"),
        [
            (b64encode(b"%PDF-1.7" + bytes(4000)).decode(), Reason.BAD_PATH, "base64 is taken where it begins as a"),
            (BARE[:100] + "*" + 5000 * "A", Reason.BAD_URL, "the base64 is not valid base64"),
            ("n" * 256, Reason.BAD_PATH, "a name in it 255"),
            ("n/" * 2049, Reason.BAD_PATH, "at most 4096 bytes"),
            ("\u00e9" * 128, Reason.BAD_PATH, "a name in it 255"),
        ],
    )  # fmt: skip
    def test_what_is_neither_a_picture_nor_a_path_is_refused_at_once(
        self, text: str, reason: Reason, words: str
    ) -> None:
        found, said = refusal(text)
        assert found is reason
        assert words in said
        assert len(said) < 400

    def test_a_picture_that_is_too_large_is_refused_with_the_setting(self) -> None:
        raw = RawRecord(place="line 7", value={"image": BARE})
        with pytest.raises(RecordError, match="PERSQA_MAX_IMAGE_BYTES") as caught:
            parse_record(raw, max_images=1, max_image_bytes=len(PNG) - 1)
        assert caught.value.reason is Reason.TOO_MANY_BYTES

    @given(st.text(max_size=80))
    def test_no_path_with_a_dot_before_it_is_anything_else(self, text: str) -> None:
        assert scheme_of(as_path(text)) == ""


@given(st.binary(max_size=390), st.integers(1, 30))
def test_blanks_that_were_plus_signs_and_blanks_that_divide_lines_are_told_apart(pixels: bytes, fours: int) -> None:
    data = b"\xff\xd8\xff" + pixels
    text = b64encode(data).decode()
    lines = [text[at : at + 4 * fours] for at in range(0, len(text), 4 * fours)]
    for written in (" ".join(lines), "\n  ".join(lines), f"{text}\n"):
        assert decode_data_uri(f"data:;base64,{written}", max_bytes=400) == data
    # As many plus signs as make no other length are lines where they are as far apart, and at the end they are nothing.
    if text.count("+") % 4 and not text.endswith("+"):
        assert decode_data_uri(f"data:;base64,{text.replace('+', ' ')}", max_bytes=400) == data


def test_a_form_made_blanks_of_the_plus_signs_of_a_picture() -> None:
    data = encoded(noise(), "JPEG")
    text = b64encode(data).decode()
    assert "+" in text
    assert decode_data_uri(f"data:image/jpeg;base64,{text.replace('+', ' ')}", max_bytes=len(data)) == data


class TestCells:
    @pytest.mark.parametrize(
        ("cell", "expected"),
        [
            ({"bytes": None, "path": "a.png"}, "a.png"),
            ({"path": "a.png"}, "a.png"),
            ({"path": "a.png", "width": 4}, "a.png"),
            ({"bytes": "", "path": "a.png"}, "a.png"),
            ({"bytes": BARE, "path": "a.png"}, BARE),
            ({"bytes": "AAAA", "path": "a.png"}, "data:;base64,AAAA"),
            ({"bytes": f"data:image/png;base64,{BARE}"}, f"data:image/png;base64,{BARE}"),
            ({"bytes": list(PNG), "path": None}, f"data:;base64,{BARE}"),
            ({"bytes": blob_reference("0" * 64), "path": "a.png", "width": 4}, blob_reference("0" * 64)),
        ],
    )  # fmt: skip
    def test_a_cell_is_the_image_in_it_alone_and_in_lists(self, cell: JsonValue, expected: str) -> None:
        assert images_of(cell) == (expected,)
        assert images_of([cell, "b.png"]) == (expected, "b.png")

    def test_a_cell_without_an_image_is_none(self) -> None:
        empty: JsonValue = {"bytes": None, "path": None}
        assert images_of(empty, image_optional=True) == ()
        assert refusal(empty)[0] is Reason.BAD_IMAGE_FIELD

    @pytest.mark.parametrize("name", ["q11-extra-keys", "q12-bytes-only"])
    def test_structs_of_parquet(self, tmp_path: Path, name: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        cell = {"bytes": PNG} if name == "q12-bytes-only" else {"bytes": PNG, "path": "a.png", "width": 64}
        pq.write_table(pa.table({"image": [cell]}), tmp_path / "a.parquet")
        (value,) = values(opened(tmp_path / "a.parquet"))
        assert isinstance(value, dict)
        assert images_of(value["image"]) == (blob_reference(digest_of(PNG)),)
        assert BlobStore("blobs").get(digest_of(PNG), max_bytes=10**6) == PNG


class TestCsv:
    @pytest.mark.parametrize(
        ("cell", "expected"),
        [
            ("['a.jpg']", ["a.jpg"]),
            ("['a.jpg', \"b's.jpg\"]", ["a.jpg", "b's.jpg"]),
            ("('a.jpg',)", ["a.jpg"]),
            ('["a.jpg"]', ["a.jpg"]),
            ("{'bytes': None, 'path': 'a.jpg'}", "a.jpg"),
            (repr([BARE, BARE]), [BARE, BARE]),
            (repr({"bytes": PNG, "path": None}), blob_reference(digest_of(PNG))),
            ("['a.jpg' 'b.jpg']", "['a.jpg' 'b.jpg']"),
            ("[a].png", "[a].png"),
            ("(1).png", "(1).png"),
            ("[" * 100_000, "[" * 100_000),
            (f"[{'0, ' * 200_000}0]"[:-1], f"[{'0, ' * 200_000}0]"[:-1]),
        ],
        ids=lambda value: str(value)[:20],
    )  # fmt: skip
    def test_lists_are_read_as_json_and_as_python_writes_them(
        self, tmp_path: Path, cell: str, expected: JsonValue
    ) -> None:
        text = io.StringIO()
        csv.writer(text).writerows([["image", "note"], [cell, cell]])
        found = values(opened(write(tmp_path, "a.csv", text.getvalue().encode())))
        assert found == [{"image": expected, "note": cell}]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "found an empty text in `image`"),
        ("  ", "found blank text in `image`"),
        (None, "found null in `image`"),
        ([], "found an empty list in `image`"),
        (["a", None], "found a list with null at place 2 in `image`"),
        ([["a"]], "found a list with a list at place 1 in `image`"),
        (["a", ""], "found a list with an empty text at place 2 in `image`"),
        ({"url": "a", "width": 4}, "found an object with 'url' and 'width' in `image`"),
        ([dict[str, JsonValue]()], "found a list with an empty object at place 1 in `image`"),
        ("['a.jpg' 'b.jpg']", "`image` has the text of a list"),
        ('["a.jpg"]', "`image` has the text of a list"),
    ],
)
def test_a_field_that_holds_no_image_is_told_by_what_it_holds(value: JsonValue, words: str) -> None:
    reason, said = refusal(value)
    assert reason is Reason.BAD_IMAGE_FIELD
    assert words in said


def test_a_data_uri_without_data_says_how_a_file_of_that_name_is_written() -> None:
    reason, said = refusal("data:1.jpg")
    assert reason is Reason.BAD_URL
    assert "a file of this name is written with ./ before it" in said


def test_the_reader_of_a_folder_names_files_so_that_nobody_takes_them_for_urls(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    names = ["data:1.jpg", "data:1,2.jpg", "blob:a.jpg", "a:b?c#d%20.jpg", "http:x.jpg"]
    for name in names:
        (folder / name).write_bytes(PNG)
    found = [cast("dict[str, str]", value)["image"] for value in values(opened(folder))]
    assert [Path(image).name for image in found] == sorted(names)
    assert [scheme_of(image) for image in found] == [""] * len(names)
    assert all(is_relative_path(image) for image in found)


def test_base64_goes_into_the_blob_store_and_never_into_a_message(tmp_path: Path) -> None:
    large = encoded(Image.effect_noise((600, 600), 90), "PNG")
    store = BlobStore(tmp_path / "blobs")
    itemizer = Itemizer(
        options=parse_options(), pool=parse_pool("p", "{tag}?"), limits=RecordLimits(), base="/data", blobs=store
    )
    assert len(b64encode(large)) > RecordLimits().max_message_bytes
    given_image: JsonValue = [b64encode(large).decode(), {"bytes": b64encode(PNG).decode(), "path": "a.png"}]
    record = itemizer.parse(RawRecord(place="line 7", value=json.loads(json.dumps({"image": given_image}))))
    assert record.images == (blob_reference(digest_of(large)), blob_reference(digest_of(PNG)))
    assert store.get(digest_of(large), max_bytes=len(large)) == large


@pytest.mark.parametrize("name", ["out.parquet", "out"])
def test_formats_that_hold_bytes_get_those_of_cells_back_and_lose_no_other_key(tmp_path: Path, name: str) -> None:
    store = BlobStore(tmp_path / "blobs")
    blob = blob_reference(store.put(PNG))
    sound: JsonValue = {"bytes": blob, "rate": 16000}
    rows = [a_row({"image": {"bytes": blob, "path": None}, "sound": sound}), a_row({"image": {"bytes": blob}})]
    export(rows, tmp_path / name, file_format=None if name.endswith("parquet") else "hf", blobs=store)
    found = parquet_rows(tmp_path / name) if name.endswith("parquet") else data_set(tmp_path / name)
    images: list[Any] = [row["image"] for row in found]
    # The library opens images itself.
    pixels = [Image.open(io.BytesIO(one["bytes"])) if name.endswith("parquet") else one for one in images]
    assert [image.convert("RGB").tobytes() for image in pixels] == [quarters().tobytes()] * 2
    assert [row["sound"] for row in found] == [sound, None]
