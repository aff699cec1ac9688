"""Images and blobs in a real S3 server, and in other stores that fsspec knows."""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import fsspec
import pytest

from persqa.blobs import BlobStore, open_file_system
from persqa.errors import BlobsUnavailable, Infrastructure, Rejected
from persqa.images import ImageLimits, objects, patience, read_image
from persqa.reasons import Reason
from tests.support.web import S3Process, s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator

PICTURE = bytes(range(256)) * 16
OPEN = ImageLimits(
    roots=(),
    max_pixels=9,
    max_bytes=5000,
    stores=("s3://pictures/public", "memory://pictures", "s3://gone"),
)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Process]:
    import boto3

    with s3_server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        client = cast("Any", boto3).client("s3")
        client.create_bucket(Bucket="pictures")
        for key, body in {
            "public/a.png": PICTURE,
            "public/größe 1+2%20?.png": PICTURE,
            "public/empty.png": b"",
            "public/large.png": bytes(5001),
            "secret.png": PICTURE,
            "public2/a.png": PICTURE,
        }.items():
            client.put_object(Bucket="pictures", Key=key, Body=body)
        client.close()
        yield server
    cast("Any", fsspec).get_filesystem_class("s3").clear_instance_cache()


def read(url: str, *, seconds: float = 20) -> bytes:
    return read_image(url, base=Path("/nowhere"), limits=replace(OPEN, seconds=seconds)).data


def refusal(url: str, *, seconds: float = 20) -> Rejected:
    with pytest.raises(Rejected) as caught:
        read(url, seconds=seconds)
    return caught.value


@pytest.mark.usefixtures("s3")
class TestS3:
    def test_the_bytes_of_an_object(self) -> None:
        assert read("s3://pictures/public/a.png") == PICTURE

    def test_a_name_is_taken_as_it_is(self) -> None:
        assert read("s3://pictures/public/größe 1+2%20?.png") == PICTURE

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("pictures/public/none.png", Reason.NOT_FOUND),
            ("gone/a.png", Reason.NOT_FOUND),
            ("pictures/public/", Reason.NOT_FOUND),
            ("pictures/public/empty.png", Reason.EMPTY_FILE),
            ("pictures/public/large.png", Reason.TOO_MANY_BYTES),
            ("pictures/secret.png", Reason.STORE_NOT_ALLOWED),
            ("pictures/public2/a.png", Reason.STORE_NOT_ALLOWED),
            ("pictures/public/../secret.png", Reason.BAD_URL),
            ("other/public/a.png", Reason.STORE_NOT_ALLOWED),
        ],
    )
    def test_what_is_refused(self, name: str, reason: Reason) -> None:
        assert refusal(f"s3://{name}").reason is reason

    def test_blobs(self) -> None:
        store = BlobStore("s3://pictures/blobs")
        digest = store.put(PICTURE)
        assert store.put(PICTURE) == digest
        assert BlobStore("s3://pictures/blobs").get(digest, max_bytes=5000) == PICTURE
        with pytest.raises(Rejected) as caught:
            store.get("0" * 64, max_bytes=10)
        assert caught.value.reason is Reason.NOT_FOUND
        with pytest.raises(Rejected) as caught:
            store.get(digest, max_bytes=10)
        assert caught.value.reason is Reason.TOO_MANY_BYTES
        assert store.get(store.put(b""), max_bytes=10) == b""
        files, root = open_file_system("s3://pictures/blobs", what="")
        for damaged in (bytes(len(PICTURE)), PICTURE[:-1], b""):
            files.pipe_file(f"{root}/{digest[:2]}/{digest[2:4]}/{digest}", damaged)
            assert BlobStore("s3://pictures/blobs").put(PICTURE) == digest
            assert store.get(digest, max_bytes=5000) == PICTURE


class TestOutage:
    def test_a_store_that_is_away_is_asked_again_and_then_given_up(
        self, s3: S3Process, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(patience, "_FIRST_PAUSE_SECONDS", 0.01)
        s3.stop()
        started = time.monotonic()
        assert refusal("s3://pictures/public/a.png", seconds=3).reason in {Reason.FETCH_FAILED, Reason.TOO_SLOW}
        assert time.monotonic() - started < 6
        s3.start()
        assert read("s3://pictures/public/a.png") == PICTURE

    def test_a_blob_store_that_is_away_says_nothing_of_its_blobs(self, s3: S3Process) -> None:
        store = BlobStore("s3://pictures/blobs")
        digest = store.put(PICTURE)
        s3.stop()
        with pytest.raises(BlobsUnavailable):
            store.get(digest, max_bytes=5000)
        with pytest.raises(BlobsUnavailable):
            store.put(b"more")
        s3.start()
        assert store.get(digest, max_bytes=5000) == PICTURE

    @pytest.mark.timeout(30)
    def test_a_store_that_says_nothing_is_left(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            for name, value in S3Process().environment.items():
                monkeypatch.setenv(name, value)
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
            started = time.monotonic()
            assert refusal("s3://pictures/public/a.png", seconds=1).reason is Reason.TOO_SLOW
            assert time.monotonic() - started < 5
        cast("Any", fsspec).get_filesystem_class("s3").clear_instance_cache()


class TestOtherStores:
    def test_any_store_that_is_allowed_is_read(self) -> None:
        files = cast("Any", fsspec).filesystem("memory")
        files.pipe_file("/pictures/a.png", PICTURE)
        files.pipe_file("/secret.png", PICTURE)
        assert read("memory://pictures/a.png") == PICTURE
        assert refusal("memory://pictures/b.png").reason is Reason.NOT_FOUND
        assert refusal("memory://secret.png").reason is Reason.STORE_NOT_ALLOWED

    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            (PermissionError("no"), Reason.NOT_PERMITTED),
            (IsADirectoryError("no"), Reason.NOT_A_FILE),
            (RuntimeError("odd"), Reason.FETCH_FAILED),
            (OSError(24, "too many open files"), None),
        ],
    )
    def test_failures(self, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: Reason | None) -> None:
        class Failing:
            async_impl = False

            def cat_file(self, *_: object, **__: object) -> bytes:
                raise error

            def info(self, _path: str, **_: object) -> dict[str, object]:
                raise error

        monkeypatch.setattr(patience, "_FIRST_PAUSE_SECONDS", 0.01)

        def open_file_system(url: str, **_: str) -> tuple[Failing, str]:
            return Failing(), url

        monkeypatch.setattr(objects, "open_file_system", open_file_system)
        if kind is None:
            with pytest.raises(Infrastructure):
                read("memory://pictures/a.png")
        else:
            assert refusal("memory://pictures/a.png", seconds=0.5).reason is kind
