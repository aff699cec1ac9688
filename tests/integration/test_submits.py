"""What a submit enqueues is what it has surveyed, in the place where it was surveyed, or nothing."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from persqa.broker.connection import connect
from persqa.broker.keys import QUEUE
from persqa.errors import InputError, RunConflict, SettingsError
from persqa.items import ItemId
from persqa.results import Status
from persqa.store.ledger import Ledger
from producer import Client, RunHandle, submit, survey
from tests.integration.test_run_command import environment
from tests.integration.test_worker import counts, quiet
from tests.support.builders import a_stored_run, an_item, an_outcome
from tests.support.oracle import runs_of
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persqa.settings import Settings
    from persqa.store import Store
    from tests.conftest import Site


def write(path: Path, records: Sequence[Mapping[str, object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def lines(*numbers: int) -> str:
    return "".join(json.dumps({"image": f"{number}.png", "id": number}) + "\n" for number in numbers)


def pictures(folder: Path, colour: tuple[int, int, int], reference: str = "{folder}/{number}.png") -> Path:
    """Three images of one colour, and their records."""
    folder.mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (8, 8), colour).save(folder / f"{number}.png")
    images = [reference.format(folder=folder, number=number) for number in range(3)]
    return write(folder / "faces.jsonl", [{"image": image} for image in images])


def pending(run: RunHandle, client: Client) -> int:
    return sum(len(chunk) for chunk in client.store.ledger.pending(run.run.id))


def answers(run: RunHandle) -> set[str | None]:
    return {row.answer for row in run.results()}


def test_the_same_names_in_another_folder_are_other_images(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "reads_colour")
    red = pictures(tmp_path / "A", (255, 0, 0), "{number}.png")
    blue = pictures(tmp_path / "B", (0, 0, 255), "{number}.png")
    with Client(settings) as client:
        run = client.submit(red)
        for ended in (0, 3):
            with pytest.raises(RunConflict, match=rf"start at {tmp_path}/A and not at {tmp_path}/B; .* with run,"):
                client.submit(blue)
            assert counts(run).get("ok", 0) == ended
            with WorkerProcess(settings, tmp_path):
                run.wait(timeout_seconds=60, display=quiet)
        other = client.submit(blue, run="other")
        with WorkerProcess(settings, tmp_path):
            other.wait(timeout_seconds=60, display=quiet)
        assert (answers(run), answers(other)) == ({"<mam> is 255-0-0"}, {"<mam> is 0-0-255"})


def test_where_all_images_have_whole_names_the_folder_does_not_matter(site: Site, tmp_path: Path) -> None:
    data = pictures(tmp_path / "A", (255, 0, 0))
    with Client(site.settings) as client:
        client.submit(data)
        (tmp_path / "B").mkdir()
        moved = client.submit(data.rename(tmp_path / "B" / "faces.jsonl"))
        assert moved.submission is not None
        assert moved.submission.enqueued == 0
        assert moved.run.base == str(tmp_path / "A")


#: What may become of six records: others, fewer, more, none, wrong ones, no text, no file.
CHANGES = (
    lines(0, 1, 2, 3, 7, 5),
    lines(7, 1, 2, 3, 4, 5),
    lines(0, 1, 2, 3),
    lines(0, 1, 2),
    lines(0, 1, 2, 3, 4, 5, 6),
    lines(*range(20)),
    "",
    lines(0, 1, 2, 3, 4, 5).replace('"5.png"', "5"),
    "\udcff",
    None,
)


@pytest.mark.parametrize("taken_up", [False, True])
def test_of_an_input_that_changes_in_between_nothing_is_enqueued_and_nothing_stays(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken_up: bool
) -> None:
    monkeypatch.setattr(survey, "_WRITTEN", 2)
    data = tmp_path / "data.jsonl"
    with Client(site.settings) as client, connect(site.broker.url) as redis:
        for changed in CHANGES:
            data.write_text(lines(0, 1, 2, 3, 4, 5))
            if taken_up:
                interrupted(client, data, monkeypatch)
                assert client.run("data").progress().submitted == 4
            with monkeypatch.context() as patched:
                patched.setattr(submit, "survey", survey_and_change(data, changed))
                with pytest.raises(InputError):
                    client.submit(data)
            assert (client.runs(), redis.llen(QUEUE)) == ([], 0), changed
        data.write_text(lines(8, 9))
        run = client.submit(data)
        assert redis.llen(QUEUE) == run.progress().submitted == run.run.items == 2
        assert [row.record["id"] for row in run.results()] == [8, 9]


def survey_and_change(data: Path, changed: str | None) -> Callable[..., survey.Survey]:
    """The first reading, after which the file has other content, or is gone."""

    def patched(*given: Any) -> survey.Survey:
        found = survey.survey(*given)
        data.unlink()
        if changed is not None:
            data.write_text(changed, errors="surrogateescape")
        return found

    return patched


def interrupted(client: Client, data: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    """A submit that ends before its third transaction."""
    add, calls = Ledger.add, list[int]()

    def once_more(ledger: Ledger, batch: Any, invalid: Any, **reuse: Any) -> int:
        calls.append(0)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return add(ledger, batch, invalid, **reuse)

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "add", once_more)
        with pytest.raises(KeyboardInterrupt):
            client.submit(data, **options)


def test_a_run_of_which_something_is_enqueued_is_not_removed(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "_WRITTEN", 2)
    data = tmp_path / "data.jsonl"
    data.write_text(lines(0, 1, 2, 3, 4, 5))
    with Client(site.settings) as client:
        interrupted(client, data, monkeypatch)
        half = client.run("data")
        half.resume()
        client.store.runs.forget(half.run)
        assert half.progress().submitted == 4
        run = client.submit(data)
        client.store.runs.forget(run.run)
        assert run.progress().submitted == 6


def test_who_writes_a_run_that_another_submit_has_removed_is_told(site: Site, tmp_path: Path) -> None:
    with Client(site.settings) as client:
        run = client.submit(write(tmp_path / "data.jsonl", [{"image": "a.png"}]))
        items = [replace(item, record="{}") for chunk in client.store.ledger.pending(run.run.id) for item in chunk]
        half = client.store.runs.create(
            "half", options=run.run.options, pool_digest="", fingerprint="", base="", item_count=1
        )
        client.store.runs.forget(half)
        assert client.store.runs.get("half") is None
        new = client.store.runs.create(
            "new", options=run.run.options, pool_digest="", fingerprint="", base="", item_count=0
        )
        assert new.id != half.id, "nobody takes the items of the one for those of the other"
        with pytest.raises(RunConflict, match="submit it again"):
            client.store.ledger.add([replace(items[0], id=ItemId(half.id * 10**10), run_id=half.id)], [])


@pytest.mark.parametrize(("first", "then"), [(1, 4), (4, 1)])
@pytest.mark.parametrize("limit", ["max_images", "max_image_bytes", "max_message_bytes"])
def test_what_is_wrong_in_a_run_stays_so_whatever_the_limits_are_when_it_is_taken_up(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, first: int, then: int
) -> None:
    monkeypatch.setattr(survey, "_WRITTEN", 9)
    unit = {"max_images": 1, "max_image_bytes": 20, "max_message_bytes": 4000}[limit]
    inside = "data:;base64," + base64.b64encode(b"x" * 50).decode()
    large = ["a.png", "b.png" + 3000 * "/", inside]
    data = write(tmp_path / "data.jsonl", [{"image": large if n % 2 else "a.png", "id": n} for n in range(12)])

    def limited(times: int) -> Settings:
        blobs = str(tmp_path / "blobs")
        return site.settings.model_copy(update={"blob_store": blobs, limit: unit * times})

    with Client(limited(first)) as client:
        interrupted(client, data, monkeypatch, questions_per_image=3)
        half = client.run("data")
        pending(half, client)
    with Client(limited(then)) as client:
        run = client.submit(data, questions_per_image=3)
        progress = run.progress()
        assert run.submission is not None
        assert run.submission.invalid == progress.ended[Status.INVALID] == (6 if first == 1 else 0)
        assert progress.submitted == run.run.items == (24 if first == 1 else 36)
        assert pending(run, client) == progress.pending == run.submission.enqueued
        asked: dict[int, set[str]] = {}
        for row in run.results():
            asked.setdefault(row.position, set()).add(row.status)
        assert all(len(statuses) == 1 for statuses in asked.values()), "no record is wrong and asked"


def test_what_is_added_later_is_pending_wherever_one_has_looked_before(store: Store) -> None:
    run, _ = a_stored_run(store, 0)

    def pending() -> list[int]:
        return [item.position for chunk in store.ledger.pending(run.id) for item in chunk]

    batch = [an_item(run.id, index) for index in range(6)]
    store.ledger.add(batch[::2] + batch[5:], [])
    store.results.commit([an_outcome(item) for item in batch[::2]])
    assert pending() == [5]
    assert store.ledger.add(batch, []) == 2
    assert pending() == [1, 3, 5] == [item_id % 10**10 for item_id in store.ledger.pending_ids(run.id)]


def test_a_record_whose_message_would_be_too_large_is_wrong_and_says_so(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "text_or_colour")
    records = [{"prompt": "x" * 250_000}, {"prompt": "hello"}, {"prompt": "y", "image": [1500 * "z/" + "z.png"] * 4}]
    data = write(tmp_path / "data.jsonl", records)
    asked: dict[str, Any] = {"verbatim": True, "image_optional": True}
    with Client(settings) as client, WorkerProcess(settings, tmp_path):
        with pytest.raises(InputError, match="1 of 3 records are wrong"):
            client.submit(data, strict=True, **asked)
        run = client.submit(data, **asked)
        run.wait(timeout_seconds=60, display=quiet)
        wrong, right, unreadable = run.results()
        assert (wrong.status, wrong.reason, right.status) == ("invalid", "oversized_message", "ok")
        assert "PERSQA_MAX_MESSAGE_BYTES" in str(wrong.detail)
        assert unreadable.reason == "not_found"
        said = client.submit(records, run="talkative", system_prompt="s" * 197_000, **asked)
        assert counts(said)["invalid"] == 3
        assert client.store.dead_letters.counts() == {}


def test_names_that_are_not_utf_8_are_refused_with_a_sentence(site: Site, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    data = pictures(folder, (1, 2, 3), "{number}.png")
    (tmp_path / "photos").mkdir()
    for number in range(2):
        Image.new("RGB", (8, 8)).save(tmp_path / "photos" / f"{number}.png")
    (tmp_path / "photos" / "0.png").rename(os.fsdecode(os.fsencode(tmp_path) + b"/photos/\xe9.png"))
    with Client(site.settings) as client:
        for given in (data, folder):
            with pytest.raises(InputError, match=r"caf\\xe9' has a name that is not UTF-8, .* rename it"):
                client.submit(given)
        assert runs_of(client) == []
        run = client.submit(tmp_path / "photos")
        wrong = [row.detail for row in run.results(status="invalid")]
        assert wrong == ["image 2: '\\udce9.png' is not UTF-8, which names of images must be: rename the file"]
        assert run.progress().pending == 1
        for option in ("system_prompt", "model", "image_column", "id_column"):
            with pytest.raises(SettingsError, match=f"{option}: "):
                client.submit(tmp_path / "photos", **{option: "caf\udce9"})  # pyrefly: ignore[bad-argument-type]
        with pytest.raises(SettingsError, match="not UTF-8"):
            client.submit(tmp_path / "photos", sampling={"stop": ["caf\udce9"]})
    command = [sys.executable, "-m", "producer.cli", "run", "faces.jsonl"]
    done = subprocess.run(command, cwd=folder, env=environment(tmp_path, ""), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr[:24]) == (2, b"", b"persqa: the folder b'/tm")
