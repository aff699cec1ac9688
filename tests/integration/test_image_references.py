"""Every kind of image reference through a real worker, and what workers remember of broken images."""

from __future__ import annotations

import json
from base64 import b64encode
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import boto3
import fsspec
import pytest
from PIL import Image

from persqa.bad_images import BadImage
from persqa.blobs import BlobStore, blob_reference
from persqa.broker.connection import connect
from persqa.broker.keys import queue_for
from persqa.errors import InputError
from persqa.images import read_image
from persqa.items import item_id
from persqa.reasons import Reason
from persqa.results import Outcome, Status
from producer import Client, RunHandle
from tests.support.builders import a_stored_run, an_item, an_outcome, colour_of
from tests.support.wait import wait_until
from tests.support.web import S3Process, WebServer, page, redirect, s3_server
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from persqa.settings import Settings
    from persqa.store import Store
    from tests.conftest import Site


def picture(index: int, side: int = 8) -> bytes:
    """An image of a colour of its own; `reads_colour` says which it was."""
    buffer = BytesIO()
    Image.new("RGB", (side, side), colour_of(index)).save(buffer, "PNG")
    return buffer.getvalue()


def data_uri(data: bytes) -> str:
    return f"data:image/png;base64,{b64encode(data).decode()}"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Process]:
    with s3_server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        client = cast("Any", boto3).client("s3")
        client.create_bucket(Bucket="pictures")
        client.put_object(Bucket="pictures", Key="public/4.png", Body=picture(4))
        client.close()
        yield server
    cast("Any", fsspec).get_filesystem_class("s3").clear_instance_cache()


def write(folder: Path, references: list[str]) -> Path:
    records = folder / "records.jsonl"
    lines = [json.dumps({"image": reference, "id": index}) for index, reference in enumerate(references)]
    records.write_text("\n".join(lines) + "\n")
    return records


def quiet(_progress: object) -> None:
    """No progress bar in tests."""


def answered(client: Client, settings: Settings, data: Path, folder: Path, **options: Any) -> RunHandle:
    """Submit, answer with one worker, and hand out the finished run."""
    run = client.submit(data, **options)
    with WorkerProcess(settings, folder):
        run.wait(timeout_seconds=60, display=quiet)
    return run


def test_a_record_of_each_kind_gets_the_answer_to_its_own_image(site: Site, tmp_path: Path, s3: S3Process) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "0.png").write_bytes(picture(0))
    (folder / "file ü.png").write_bytes(picture(1))
    assert s3.url
    with WebServer() as web:
        web.pages |= {"/2.png": page(picture(2)), "/3": redirect("/3.png"), "/3.png": page(picture(3))}
        settings = scripted(site.settings, "reads_colour").model_copy(
            update={
                "image_hosts": ["127.0.0.1"],
                "image_allow_private": True,
                "image_stores": ["s3://pictures/public"],
                "blob_store": str(tmp_path / "blobs"),
            }
        )
        blob = blob_reference(BlobStore(tmp_path / "blobs").put(picture(7)), "holiday/7.png")
        references = [
            "0.png",
            f"file://{quote(str(folder))}/{quote('file ü.png')}",
            f"{web.url}/2.png",
            f"{web.url}/3",
            "s3://pictures/public/4.png",
            data_uri(picture(5)),
            f"data:image/png,{quote(picture(6))}",
            blob,
            f"{web.url}/missing.png",
            "http://localhost/a.png",
            "s3://pictures/secret.png",
            "data:image/png;base64,*",
            "file:///etc/passwd",
        ]
        with Client(settings) as client:
            run = answered(client, settings, write(folder, references), tmp_path)
            rows = list(run.results())
    for index, row in enumerate(rows[:8]):
        red, green, blue = colour_of(index)
        assert (row.position, row.answer) == (index, f"<mam> is {red}-{green}-{blue}"), row.detail
    assert [row.reason for row in rows[8:]] == [
        "not_found",
        "host_not_allowed",
        "store_not_allowed",
        "bad_url",
        "outside_roots",
    ]
    # What was given is kept; what people see is short.
    assert [json.loads(row.record)["image"] for row in rows] == references
    assert rows[5].image == blob_reference(BlobStore(tmp_path / "blobs").put(picture(5)))


def test_bytes_of_records_do_not_travel_through_redis(site: Site, tmp_path: Path) -> None:
    settings = scripted(site.settings, "reads_colour").model_copy(update={"blob_store": str(tmp_path / "blobs")})
    noise = BytesIO()
    Image.effect_noise((300, 300), 90).convert("RGB").save(noise, "PNG")
    large = data_uri(noise.getvalue())
    assert len(large) > 100_000
    data = write(tmp_path, [large, large, data_uri(picture(2))])
    broker = connect(settings.broker_url or "")
    with Client(settings) as client:
        run = client.submit(data, questions_per_image=2)
        messages = cast("list[bytes]", broker.lrange(queue_for(None), 0, -1))
        assert len(messages) == 6
        assert max(map(len, messages)) < 4000
        # The same bytes are there once, however many records and questions name them.
        assert len([path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]) == 2
        # What Redis forgets is enqueued again with the same short references.
        broker.flushall()  # pyright: ignore[reportUnknownMemberType]
        assert run.resume() == 6
        again = cast("list[bytes]", broker.lrange(queue_for(None), 0, -1))
        assert max(map(len, again)) < 4000
        with WorkerProcess(settings, tmp_path):
            run.wait(timeout_seconds=60, display=quiet)
        assert run.progress().ended[Status.OK] == 6
        exported = tmp_path / "out.jsonl"
        run.export(exported)
        assert json.loads(exported.read_text().splitlines()[0])["image"] == large
    broker.close()


def test_a_data_uri_that_cannot_be_used_is_refused_at_the_submit(site: Site, tmp_path: Path) -> None:
    settings = site.settings.model_copy(update={"blob_store": str(tmp_path / "blobs"), "max_image_bytes": 2000})
    data = write(tmp_path, [data_uri(bytes(2001)), "data:oops", "data:;base64,"])
    with Client(settings) as client:
        with pytest.raises(InputError, match="3 of 3 records are wrong"):
            client.submit(data, strict=True)
        run = client.submit(data)
        assert [(row.status, row.reason) for row in run.results()] == [
            ("invalid", "too_many_bytes"),
            ("invalid", "bad_url"),
            ("invalid", "empty_file"),
        ]
        assert run.requeue(Status.INVALID) == 0
    assert not (tmp_path / "blobs").exists()


def test_a_blob_store_that_is_away_is_waited_for(site: Site, tmp_path: Path, s3: S3Process) -> None:
    settings = scripted(site.settings, "reads_colour").model_copy(update={"blob_store": "s3://pictures/blobs"})
    with Client(settings) as client:
        run = client.submit(write(tmp_path, [data_uri(picture(index)) for index in range(3)]))
        s3.stop()
        try:
            with WorkerProcess(settings, tmp_path) as worker:
                wait_until(lambda: "the blob store s3://pictures/blobs failed" in worker.text(), describe="an outage")
                assert run.progress().pending == 3
                s3.start()
                run.wait(timeout_seconds=60, display=quiet)
        finally:
            s3.stop()
            s3.start()
        answers = {row.position: row.answer for row in run.results()}
        assert answers == {index: "<mam> is {}-{}-{}".format(*colour_of(index)) for index in range(3)}


class TestKnownBad:
    def test_a_content_that_failed_once_is_not_tried_again_by_another_run(self, site: Site, tmp_path: Path) -> None:
        settings = scripted(site.settings, "compliant")
        (tmp_path / "broken.png").write_bytes(picture(1)[:-30])
        (tmp_path / "large.png").write_bytes(picture(1, 16))
        data = write(tmp_path, ["broken.png", "large.png", "missing.png"])
        small = settings.model_copy(update={"max_image_pixels": 100})
        with Client(settings) as client:
            first = answered(client, small, data, tmp_path, run="first")
            assert [row.reason for row in first.results()] == ["broken_image", "too_many_pixels", "not_found"]
            details = [str(row.detail) for row in first.results()]
            # Under another name, in another folder, and with the limit raised.
            other = tmp_path / "other"
            other.mkdir()
            for name, new in {"broken.png": "x.jpg", "large.png": "large.png"}.items():
                (tmp_path / name).rename(other / new)
            second = answered(client, settings, write(other, ["x.jpg", "large.png"]), tmp_path, run="second")
            rows = list(second.results())
        assert [row.status for row in rows] == ["invalid", "ok"]
        assert rows[0].reason == "broken_image"
        said = details[0].removeprefix("broken.png: ")
        assert str(rows[0].detail).startswith(f"x.jpg: {said}; known since ")
        assert "--recheck tries it again" in str(rows[0].detail)

    def test_recheck_tries_it_and_forgets_what_was_wrong(self, site: Site, tmp_path: Path) -> None:
        # As if an earlier version could not decode it.
        settings = scripted(site.settings, "compliant")
        (tmp_path / "a.png").write_bytes(picture(1))
        data = write(tmp_path, ["a.png"])
        digest = read_image("a.png", base=tmp_path, limits=_limits()).digest
        with Client(settings) as client:
            blamed = BadImage(digest=digest, reason=Reason.BROKEN_IMAGE, detail="an old decoder failed")
            run, (item,) = a_stored_run(client.store, 1, "blame")
            outcome = an_outcome(item, Status.INVALID, answer=None, reason=Reason.BROKEN_IMAGE)
            client.store.results.commit([Outcome(outcome.result, bad_images=(blamed,))])
            assert run.id
            first = answered(client, settings, data, tmp_path, run="first")
            assert [row.detail for row in first.results()] == [_known(client.store, digest)]
            # A requeue remembers, unless it says otherwise.
            assert first.requeue(Status.INVALID) == 1
            with WorkerProcess(settings, tmp_path):
                first.wait(timeout_seconds=60, display=quiet)
                assert first.progress().ended[Status.INVALID] == 1
                assert first.requeue(Status.INVALID, recheck=True) == 1
                first.wait(timeout_seconds=60, display=quiet)
            assert first.progress().ended[Status.OK] == 1
            assert client.store.bad_images.known([digest]) == {}

    def test_recheck_at_the_submit_holds_for_what_redis_forgets(self, site: Site, tmp_path: Path) -> None:
        settings = scripted(site.settings, "compliant")
        (tmp_path / "broken.png").write_bytes(picture(1)[:-30])
        data = write(tmp_path, ["broken.png"])
        with Client(settings) as client:
            first = answered(client, settings, data, tmp_path, run="first")
            (row,) = first.results()
            known = client.store.bad_images.known([_digest(tmp_path / "broken.png")])
            second = client.submit(data, run="second", recheck=True)
            broker = connect(settings.broker_url or "")
            broker.flushall()  # pyright: ignore[reportUnknownMemberType]
            broker.close()
            # The same submit without the option goes on with what was asked for.
            client.submit(data, run="second")
            with WorkerProcess(settings, tmp_path):
                second.wait(timeout_seconds=60, display=quiet)
            (again,) = second.results()
            assert again.detail == row.detail
            found = client.store.bad_images.known(known)
            assert [image.first_seen > known[digest].first_seen for digest, image in found.items()] == [True]


def test_bad_images_are_written_with_the_result_and_only_once(store: Store) -> None:
    run, batch = a_stored_run(store, 3)
    assert batch[0].id == item_id(run.id, 0)
    bad = [BadImage(digest=digit * 64, reason=Reason.NOT_AN_IMAGE, detail=f"nul \0 {digit}") for digit in "ab"]
    outcomes = [
        Outcome(an_outcome(item, Status.INVALID, answer=None).result, bad_images=(image,))
        for item, image in zip(batch, [bad[1], bad[0], bad[1]], strict=True)
    ]
    store.results.commit(outcomes[:2])
    store.results.commit(outcomes)
    found = store.bad_images.known([image.digest for image in bad] + ["c" * 64])
    assert {digest: image.detail for digest, image in found.items()} == {
        "a" * 64: "nul \ufffd a",
        "b" * 64: "nul \ufffd b",
    }
    assert {image.first_seen for image in found.values()} == {image.first_seen for image in bad}
    # What belongs to an item that had ended already is not written.
    late = BadImage(digest="d" * 64, reason=Reason.NOT_AN_IMAGE, detail="late")
    store.results.commit([Outcome(an_outcome(batch[0]).result, bad_images=(late,))])
    assert store.bad_images.known(["d" * 64]) == {}
    store.bad_images.forget(["a" * 64, "e" * 64])
    assert set(store.bad_images.known(["a" * 64, "b" * 64])) == {"b" * 64}


def test_pending_items_come_without_their_records(store: Store) -> None:
    run, _ = a_stored_run(store, 0)
    plain = an_item(run.id, 0)
    held = an_item(run.id, 1, images=(blob_reference("a" * 64),))
    store.ledger.add([plain, held], [])
    ((first, second),) = store.ledger.pending(run.id)
    assert (first.images, first.record) == (plain.images, "")
    assert (second.images, second.record) == (held.images, "")


def _digest(path: Path) -> str:
    return read_image(path.name, base=path.parent, limits=_limits()).digest


def _limits() -> Any:
    from persqa.images import ImageLimits

    return ImageLimits(roots=(), max_pixels=10_000, max_bytes=10_000)


def _known(store: Store, digest: str) -> str:
    since = store.bad_images.known([digest])[digest].first_seen
    return f"a.png: an old decoder failed; known since {since:%Y-%m-%d %H:%M} UTC, --recheck tries it again"
