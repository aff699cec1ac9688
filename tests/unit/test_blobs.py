"""The blob store, in a folder and behind fsspec."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persqa.blobs import BlobStore, blob_reference, parse_blob_reference
from persqa.errors import BlobsUnavailable, Infrastructure, Rejected, SettingsError
from persqa.reasons import Reason

DATA = b"a picture" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(params=["folder", "file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return {
        "folder": str(tmp_path / "blobs"),
        "file": f"file://{tmp_path}/blobs",
        "memory": f"memory://{uuid.uuid4().hex}/blobs",
    }[request.param]


class TestStore:
    def test_what_is_put_in_comes_out_under_its_digest(self, url: str) -> None:
        for data in (DATA, b"x", b""):
            digest = BlobStore(url).put(data)
            assert digest == hashlib.sha256(data).hexdigest()
            assert BlobStore(url).get(digest, max_bytes=len(data)) == data

    def test_the_size_is_limited(self, url: str) -> None:
        store = BlobStore(url)
        store.put(DATA)
        with pytest.raises(Rejected) as caught:
            store.get(DIGEST, max_bytes=len(DATA) - 1)
        assert caught.value.reason is Reason.TOO_MANY_BYTES

    def test_what_is_not_there_is_not_found(self, url: str) -> None:
        with pytest.raises(Rejected) as caught:
            BlobStore(url).get(DIGEST, max_bytes=10)
        assert caught.value.reason is Reason.NOT_FOUND
        assert "PERSQA_BLOB_STORE" in str(caught.value)

    @pytest.mark.parametrize("digest", ["", "abc", "../" * 21 + "a", DIGEST.upper(), DIGEST + "0", DIGEST[:-1] + "\n"])
    def test_only_digests_name_blobs(self, url: str, digest: str) -> None:
        with pytest.raises(Rejected) as caught:
            BlobStore(url).get(digest, max_bytes=10)
        assert caught.value.reason is Reason.BAD_URL


class TestFolder:
    def test_the_same_bytes_are_written_once(self, tmp_path: Path) -> None:
        store = BlobStore(tmp_path)
        store.put(DATA)
        (path,) = (path for path in tmp_path.rglob("*") if path.is_file())
        assert path.relative_to(tmp_path) == Path(DIGEST[:2], DIGEST[2:4], DIGEST)
        before = path.stat()
        store.put(DATA)
        assert path.stat().st_mtime_ns == before.st_mtime_ns
        assert path.stat().st_ino == before.st_ino

    def test_what_a_crash_left_is_written_again(self, tmp_path: Path) -> None:
        path = tmp_path / DIGEST[:2] / DIGEST[2:4] / DIGEST
        path.parent.mkdir(parents=True)
        path.write_bytes(DATA[:10])
        store = BlobStore(tmp_path)
        with pytest.raises(Rejected) as caught:
            store.get(DIGEST, max_bytes=10_000)
        assert caught.value.reason is Reason.DAMAGED_BLOB
        store.put(DATA)
        assert store.get(DIGEST, max_bytes=10_000) == DATA

    def test_other_bytes_under_a_digest_are_not_handed_out(self, tmp_path: Path) -> None:
        store = BlobStore(tmp_path)
        store.put(DATA)
        (tmp_path / DIGEST[:2] / DIGEST[2:4] / DIGEST).write_bytes(bytes(len(DATA)))
        with pytest.raises(Rejected) as caught:
            store.get(DIGEST, max_bytes=10_000)
        assert caught.value.reason is Reason.DAMAGED_BLOB
        store.put(DATA)
        assert store.get(DIGEST, max_bytes=10_000) == DATA

    def test_the_bytes_are_on_disk_before_they_have_their_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        synced: list[tuple[bytes, bool]] = []

        def sync(descriptor: int) -> None:
            (found,) = (path for path in tmp_path.rglob("*") if path.is_file())
            synced.append((found.read_bytes(), found.samefile(f"/proc/self/fd/{descriptor}") and found.name != DIGEST))

        monkeypatch.setattr(os, "fsync", sync)
        BlobStore(tmp_path).put(DATA)
        assert synced == [(DATA, True)]

    def test_a_folder_that_cannot_be_written_is_an_outage(self, tmp_path: Path) -> None:
        (tmp_path / "blobs").write_text("no folder")
        store = BlobStore(tmp_path / "blobs")
        with pytest.raises(BlobsUnavailable, match="blobs failed: "):
            store.put(DATA)
        with pytest.raises(BlobsUnavailable):
            store.get(DIGEST, max_bytes=10)

    def test_a_failure_leaves_no_half_of_a_blob(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(_descriptor: int) -> None:
            raise OSError(errno.ENOSPC, "no space left")

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(BlobsUnavailable, match="no space left"):
            BlobStore(tmp_path).put(DATA)
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

    def test_a_shortage_of_this_machine_is_no_outage(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object, **__: object) -> None:
            raise OSError(errno.EMFILE, "too many open files")

        monkeypatch.setattr(Path, "open", fail)
        with pytest.raises(Infrastructure) as caught:
            BlobStore(tmp_path).get(DIGEST, max_bytes=10)
        assert not isinstance(caught.value, BlobsUnavailable)

    def test_many_processes_may_write_the_same_bytes(self, tmp_path: Path) -> None:
        code = f"from tests.unit.test_blobs import write_all; input(); write_all({str(tmp_path)!r})"
        root = Path(__file__).parents[2]
        writers = [
            subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, cwd=root, text=True) for _ in range(4)
        ]
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write("go\n")
            writer.stdin.close()
        store, seen = BlobStore(tmp_path), set[str]()
        # Whatever a reader finds meanwhile is whole.
        while any(writer.poll() is None for writer in writers):
            seen |= _read_all(store)
        assert [writer.wait() for writer in writers] == [0] * 4
        assert _read_all(store) == {hashlib.sha256(data).hexdigest() for data in _pictures()}
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert len(files) == len(_pictures())
        assert seen <= {path.name for path in files}


def _pictures() -> list[bytes]:
    return [bytes([number]) * 300_000 for number in range(40)]


def write_all(folder: str) -> None:
    """One of several writers; in a process of its own."""
    store = BlobStore(folder)
    for data in _pictures():
        store.put(data)


def _read_all(store: BlobStore) -> set[str]:
    found: set[str] = set()
    for data in _pictures():
        digest = hashlib.sha256(data).hexdigest()
        try:
            assert store.get(digest, max_bytes=len(data)) == data
        except Rejected as rejected:
            if rejected.reason is not Reason.NOT_FOUND:
                raise
        else:
            found.add(digest)
    return found


class TestSettings:
    def test_a_missing_library_is_named_with_what_installs_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "fsspec.core", None)
        with pytest.raises(
            SettingsError, match=r"the blob store s3://.* needs a library .*; pip install 'persqa\[data\]'"
        ):
            BlobStore("s3://bucket/prefix")

    def test_so_is_that_of_google(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "gcsfs", None)
        with pytest.raises(SettingsError, match=r"pip install 'persqa\[gcs\]'"):
            BlobStore("gs://bucket/prefix")

    def test_an_unknown_scheme_is_refused(self) -> None:
        with pytest.raises(SettingsError, match="nonsense"):
            BlobStore("nonsense://bucket")

    def test_a_folder_needs_no_library(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "fsspec", None)
        monkeypatch.setitem(sys.modules, "fsspec.core", None)
        assert BlobStore(tmp_path).put(DATA) == DIGEST


class TestReferences:
    @given(st.binary(), st.text(max_size=30))
    def test_round_trip(self, data: bytes, name: str) -> None:
        try:
            name.encode()
        except UnicodeEncodeError:
            return
        digest = hashlib.sha256(data).hexdigest()
        reference = blob_reference(digest, name)
        assert reference.isascii()
        assert parse_blob_reference(reference) == (digest, name)

    @pytest.mark.parametrize(
        "text",
        ["", "blob:", "blob:abc", f"blob:{DIGEST}x", f"blob:{DIGEST.upper()}", f"BLOB:{DIGEST}", f"blob:../{DIGEST}"],
    )
    def test_anything_else_is_none(self, text: str) -> None:
        assert parse_blob_reference(text) is None
