"""CSV: cells are text, and what is wrong with a row harms only that row."""

from __future__ import annotations

from pathlib import Path

import pytest

from persqa.errors import InputError
from persqa.reasons import Reason
from persqa.records import Columns
from producer.readers import comma_separated
from tests.support.reading import one_error, opened, values, write


def test_cells_stay_text_but_for_the_columns_that_are_understood(tmp_path: Path) -> None:
    content = b"""image,conversation,tag,note,empty
a.png,"[{""from"": ""human"", ""value"": ""x""}]",bob,"[1, 2]",
"[""a.png"", ""b.png""]",,,{"x": 1},null
[a].png,"{broken",,007,1e3
"""
    assert values(opened(write(tmp_path, "a.csv", content.replace(b'{"x": 1}', b'"{""x"": 1}"')))) == [
        {
            "image": "a.png",
            "conversation": [{"from": "human", "value": "x"}],
            "tag": "bob",
            "note": "[1, 2]",
            "empty": "",
        },
        {"image": ["a.png", "b.png"], "conversation": None, "tag": None, "note": '{"x": 1}', "empty": "null"},
        {"image": "[a].png", "conversation": "{broken", "tag": None, "note": "007", "empty": "1e3"},
    ]


def test_the_image_column_that_is_named_is_the_one_understood(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", b'image,photo\n[1],"[""a"", ""b""]"\n')
    assert values(opened(path, columns=Columns(image="photo"))) == [{"image": "[1]", "photo": ["a", "b"]}]


def test_a_byte_order_mark_tabs_and_line_ends_of_any_kind_are_understood(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", b"\xef\xbb\xbfimage\tb\r\nx, y\t\xc3\xbc\r\n\r\nz\t\r\n")
    assert values(opened(path)) == [{"image": "x, y", "b": "ü"}, {"image": "z", "b": ""}]


def test_a_ragged_row_harms_only_itself_and_keeps_its_place_and_its_cells(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", b'image,b\n"a\nb",1\nc\nd,1,2\ne,2\n')
    found = list(opened(path))
    assert [(raw.place, raw.error and raw.error.reason) for raw in found] == [
        ("line 2", None),
        ("line 4", Reason.BAD_ROW),
        ("line 5", Reason.BAD_ROW),
        ("line 6", None),
    ]
    assert [raw.value for raw in found[1:3]] == [["c"], ["d", "1", "2"]]
    assert str(found[2].error) == "expected 2 cells as in the header, found 3"


def test_a_row_that_is_no_utf8_harms_only_itself(tmp_path: Path) -> None:
    wrong = one_error(opened(write(tmp_path, "a.csv", b"image,b\na,\xff\nb,\xc3\xbc\n")))
    assert wrong.value == ["a", r"\xff"]
    assert wrong.error is not None
    assert wrong.error.reason is Reason.NOT_JSON


def test_a_large_cell_is_read(tmp_path: Path) -> None:
    text = "x" * 5_000_000
    assert values(opened(write(tmp_path, "a.csv", f"image,b\na,{text}\n".encode()))) == [{"image": "a", "b": text}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a header"),
        (b"\n", "expected a header"),
        (b"a,b,a\n1,2,3\n", "names 'a' more than once"),
        (b"a\xff,b\n1,2\n", "line 1 is not valid UTF-8"),
        (b'image,b\na,1\nb,"never closed\nc,1\n', "line 3: not valid CSV: unexpected end of data"),
        (b'image,b\na,"x"y\n', "line 2: not valid CSV"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_as_a_whole(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(opened(write(tmp_path, "a.csv", content)))


def test_a_quote_that_is_never_closed_does_not_read_the_file_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comma_separated, "_MOST_CHARACTERS", 1000)
    path = write(tmp_path, "a.csv", b'image\na\n"' + b"b\n" * 1000)
    with pytest.raises(InputError, match="line 3: not valid CSV: field larger than field limit"):
        list(opened(path))


def test_what_spreadsheet_programs_leave_empty_is_passed_over_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", b"image,name,,\r\na,x,,\r\n\r\n,,,\r\nb,y,,,,\r\n")
    reader = opened(path)
    assert values(reader) == values(reader) == [{"image": "a", "name": "x"}, {"image": "b", "name": "y"}]
    assert reader.fields() == ["image", "name"]
    assert {(one.kind, one.number, one.example) for one in reader.passed} == {
        ("empty column without a name", 2, "column 3"),
        ("blank line", 1, "line 3"),
        ("row without a value", 1, "line 4"),
        ("empty cell behind the last column", 2, "line 5"),
    }


def test_a_cell_under_no_name_is_kept(tmp_path: Path) -> None:
    index = opened(write(tmp_path, "a.csv", b",image\n0,a\n1,b\n"))
    assert values(index) == [{"": "0", "image": "a"}, {"": "1", "image": "b"}]
    several = opened(write(tmp_path, "b.csv", b"image,,\na,,x\nb,,\n"))
    assert values(several) == [{"image": "a", "column 3": "x"}, {"image": "b"}]
    assert [(one.number, one.example) for one in several.passed] == [(1, "column 2")]
    with pytest.raises(InputError, match="names 'column 3' more than once"):
        list(opened(write(tmp_path, "c.csv", b"column 3,,\na,,x\n")))
