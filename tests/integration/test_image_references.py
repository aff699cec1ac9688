"""Images of every kind of reference, through a whole run."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import fsspec
import pytest
from PIL import Image

from persqa.blobs import BlobStore, blob_reference
from persqa.broker.connection import connect
from persqa.broker.keys import queue_for
from persqa.errors import InputError
from persqa.results import Status
from producer import Client
from tests.support.builders import a_stored_run, an_item, colour_of
from tests.support.referring import answered, data_uri, picture, quiet, write
from tests.support.wait import wait_until
from tests.support.web import S3Process, WebServer, page, redirect, s3_server
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from persqa.store import Store
    from tests.conftest import Site


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Process]:
    import boto3

    with s3_server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        client = cast("Any", boto3).client("s3")
        client.create_bucket(Bucket="pictures")
        client.put_object(Bucket="pictures", Key="public/4.png", Body=picture(4))
        client.close()
        yield server
    cast("Any", fsspec).get_filesystem_class("s3").clear_instance_cache()


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
    assert [row.record["image"] for row in rows] == references
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
        assert len(list((tmp_path / "blobs").glob("??/??/*"))) == 2
        # What Redis forgets is enqueued again with the same short references.
        broker.flushall()
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
    wrong = [data_uri(bytes(2001)), "data:oops", "data:;base64,"]
    with Client(settings) as client:
        for strict in (False, True):
            with pytest.raises(InputError, match="3 of 3 records are wrong"):
                client.submit(write(tmp_path, wrong), strict=strict)
        run = client.submit([{"image": reference} for reference in wrong], run="wrong")
        assert [(row.status, row.reason) for row in run.results()] == [
            ("invalid", "too_many_bytes"),
            ("invalid", "bad_url"),
            ("invalid", "empty_file"),
        ]
        assert run.requeue(Status.INVALID).taken_back == 0
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


def test_pending_items_come_without_their_records(store: Store) -> None:
    run, _ = a_stored_run(store, 0)
    plain = an_item(run.id, 0)
    held = an_item(run.id, 1, images=(blob_reference("a" * 64),))
    store.ledger.add([plain, held], [])
    ((first, second),) = store.ledger.pending(run.id)
    assert (first.images, first.record) == (plain.images, "")
    assert (second.images, second.record) == (held.images, "")
