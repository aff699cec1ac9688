"""A run of nothing is no success: an exit code of its own, and one sentence why."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from tests.integration.test_run_command import environment, persqa
from tests.support.builders import write_images
from tests.support.programs import run_program
from tests.support.servers import valkey_server


def said(text: str) -> str:
    return " ".join(text.split())


def test_a_column_that_is_missing_ends_a_command_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("key,photo,caption,tag\n1,a.png,x,bob\n")
    done = persqa(tmp_path, "run", "people.csv", "--image-column", "foto")
    assert (done.returncode, done.stdout) == (2, "")
    assert said(done.stderr) == (
        "persqa: people.csv has no column 'foto'; it has key, photo, caption, tag: did you mean --image-column photo?"
    )
    done = persqa(tmp_path, "run", "people.csv", "--image-column", "photo", "--id-column", "no")
    assert (done.returncode, "--id-column" in done.stderr) == (2, True)
    assert not (tmp_path / "persqa-worker.log").exists()


def test_an_input_of_wrong_records_only_is_refused_and_its_name_is_free(tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    for content in ("not json\n", '{"image": 5}\n', '[1]\n"x"\n{"image": []}\n'):
        data.write_text(content)
        done = persqa(tmp_path, "run", str(data))
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        wrong = len(content.splitlines())
        which = "1 of 1 record is" if wrong == 1 else f"{wrong} of {wrong} records are"
        assert f"data.jsonl: {which} wrong: line 1: " in said(done.stderr)
        assert not (tmp_path / "persqa-worker.log").exists()
    data = write_images(tmp_path / "mended", 2).rename(data)
    (tmp_path / "mended" / "images").rename(tmp_path / "images")
    again = persqa(tmp_path, "run", str(data), "--tag", "bob")
    assert again.returncode == 0, again.stderr
    assert "had no answer yet" not in said(again.stderr)
    assert "run data: 2 items, 0 have a result, 2 enqueued" in said(again.stderr)


def test_a_run_whose_images_are_missing_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "gone.jsonl").write_text("".join(f'{{"image": "{n}.png"}}\n' for n in range(3)) + "[]\n")
    done = persqa(tmp_path, "run", "gone.jsonl", "--questions-per-image", "4", "--json")
    assert done.returncode == 5
    assert "no item is ok: 13 invalid; most often (12 times) not_found, as in: 0.png: no such file" in said(done.stderr)
    assert json.loads(done.stdout)["ok"] == 0


def test_one_error_of_an_image_is_shown_once_however_many_questions_it_has(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "good.png")
    (tmp_path / "data.jsonl").write_text('{"image": "gone.png"}\n{"image": "good.png"}\n{"image": "none.png"}\n')
    done = persqa(tmp_path, "run", "data.jsonl", "--questions-per-image", "4")
    assert done.returncode == 0, done.stderr
    shown = persqa(tmp_path, "results", "data")
    for text in (done.stdout, shown.stdout):
        assert text.count("gone.png: no such file") == text.count("none.png: no such file") == 1
        assert text.count("(4 questions)") == 2
        assert text.count("wears a red coat") == 4
    assert len(persqa(tmp_path, "results", "data", "--json").stdout.splitlines()) == 12


def test_one_of_everything_is_said_in_the_singular(tmp_path: Path) -> None:
    data = write_images(tmp_path / "data", 1)
    done = persqa(tmp_path, "run", str(data))
    assert "run records: 1 item, 0 have a result, 1 enqueued" in said(done.stderr)
    assert "audit: the one item accounted for" in done.stdout
    assert "1 run" in persqa(tmp_path, "doctor").stdout
    assert persqa(tmp_path, "export", "records", "out.jsonl").stdout == "1 row written to out.jsonl\n"


def test_a_fleet_without_workers_is_said_at_submit_and_in_the_status(tmp_path: Path) -> None:
    data = write_images(tmp_path / "data", 1)
    with valkey_server() as url:
        done = persqa(tmp_path, "submit", str(data), "--broker-url", url)
        assert done.returncode == 0
        start = f"persqa worker --image-roots DIR --broker-url {url}"
        advice = f"there is no worker; the items wait for one: {start}"
        assert f"warning: {advice}" in said(done.stderr)
        (warning,) = json.loads(persqa(tmp_path, "status", "--broker-url", url, "--json").stdout)["warnings"]
        assert warning == advice


def test_doctor_tells_of_a_setting_that_is_none(tmp_path: Path) -> None:
    variables = environment(tmp_path, "compliant") | {"PERSQA_WINDW": "3"}
    done = run_program("producer.cli", "doctor", env=variables, cwd=tmp_path)
    assert done.returncode == 1
    assert "PERSQA_WINDW: there is no such setting; did you mean PERSQA_WINDOW?" in said(done.stdout)
