"""What an input has beside its records is told at the submit, and what is no such input writes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from persqa.errors import InputError
from producer import Client
from producer.readers.passed import PassedOver
from tests.integration.test_fruitless import said
from tests.integration.test_run_command import persqa
from tests.support.servers import valkey_server

if TYPE_CHECKING:
    from tests.conftest import Site


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, kind in (("a.jpg", "JPEG"), ("b.jfif", "JPEG"), ("noext", "PNG")):
        Image.new("RGB", (8, 8)).save(folder / name, kind)
    for name in ("d.heic", "e.heic", "notes.txt", ".hidden.jpg"):
        (folder / name).touch()
    (folder / "all").symlink_to(folder)
    return folder


def test_a_submit_tells_of_what_it_has_passed_over_to_people_and_to_scripts(photos: Path, tmp_path: Path) -> None:
    with valkey_server() as url:
        told = persqa(tmp_path, "submit", str(photos), "--broker-url", url)
        assert told.returncode == 0, told.stderr
        assert "run photos: 3 items, 0 have a result, 3 enqueued" in said(told.stderr)
        line = next(line for line in told.stderr.splitlines() if line.startswith("passed over: "))
        assert line.startswith("passed over: 2 HEIC pictures (")
        for part in ("1 .txt file (notes.txt)", "1 hidden file (.hidden.jpg)", "1 link to a folder (all)"):
            assert part in line
        found = json.loads(persqa(tmp_path, "submit", str(photos), "--broker-url", url, "--json").stdout)
    assert {name: found[name] for name in ("run", "records", "invalid")} == {
        "run": "photos",
        "records": 3,
        "invalid": 0,
    }
    assert {"kind": ".txt file", "number": 1, "example": "notes.txt"} in found["passed_over"]
    assert sum(one["number"] for one in found["passed_over"]) == 5


def test_what_looks_like_another_format_ends_with_exit_code_2_and_its_name_is_free(tmp_path: Path) -> None:
    array = tmp_path / "people.jsonl"
    array.write_text(json.dumps([{"image": f"{number}.png"} for number in range(3)], indent=1))
    with valkey_server() as url:
        refused = persqa(tmp_path, "submit", str(array), "--run", "people", "--broker-url", url)
        assert (refused.returncode, refused.stdout) == (2, "")
        advice = "expected JSON Lines, and this looks like a JSON array; say it with --format json"
        assert advice in said(refused.stderr)
        taken = persqa(
            tmp_path, "submit", str(array), "--run", "people", "--broker-url", url, "--format", "json", "--tag", "anna"
        )
        assert taken.returncode == 0, taken.stderr
        assert "had no answer yet" not in taken.stderr


def test_a_program_gets_the_account_and_no_run_of_what_cannot_be_used(site: Site, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("image,name,,\n,x,,\n,y,,\n")
    (tmp_path / "some.csv").write_text("image,name,,\n,x,,\na.png,y,,\n")
    with Client(site.settings) as client:
        submission = client.submit(photos).submission
        assert submission is not None
        assert submission.records == submission.enqueued == 3
        assert {(one.kind, one.number) for one in submission.passed_over} == {
            ("HEIC picture", 2),
            (".txt file", 1),
            ("hidden file", 1),
            ("link to a folder", 1),
        }
        with pytest.raises(InputError, match=r"data\.csv: 2 of 2 records are wrong:\n  line 2: .*\n  line 3: "):
            client.submit(tmp_path / "data.csv")
        some = client.submit(tmp_path / "some.csv").submission
        assert some is not None
        assert (some.records, some.invalid) == (2, 1)
        assert some.passed_over == (PassedOver("empty column without a name", 2, "column 3"),)
        # Records of a program have their results, whatever they are.
        assert client.submit([{"image": 5}], run="one").progress().submitted == 1
        assert {run.run.name for run in client.runs()} == {"photos", "some", "one"}
