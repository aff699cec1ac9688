"""A deleted run takes its images out of the blob store, and no others."""

from __future__ import annotations

import base64
import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from persqa.blob_locks import Filling
from persqa.blobs import digest_of
from persqa.errors import BlobsUnavailable
from producer import Client
from tests.integration.test_blob_repair import uri

if TYPE_CHECKING:
    from tests.conftest import Site


def faces(folder: Path, name: str, numbers: range, *more: str) -> Path:
    data = folder / f"{name}.jsonl"
    data.write_text("".join(json.dumps({"image": uri(number)}) + "\n" for number in numbers) + "".join(more))
    return data


def digest(number: int) -> str:
    return digest_of(base64.b64decode(uri(number).partition(",")[2]))


def test_images_that_others_refer_to_stay(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persqa.store.deletion._TEXTS_AT_ONCE", 2)
    folder = tmp_path / "blobs"

    def there() -> set[str]:
        return {path.name for path in folder.glob("??/??/*")}

    with Client(site.settings.model_copy(update={"blob_store": str(folder)})) as client:
        one = client.submit(faces(tmp_path, "one", range(6)))
        # A record that cannot be used refers to one, too: an export gives its bytes back.
        wrong = json.dumps({"image": 5, "other": f"blob:{digest(0)}/a.png"}) + "\n"
        two = client.submit(faces(tmp_path, "two", range(4, 9), wrong))
        assert one.contents().blobs == one.delete().blobs == 3
        assert there() == {digest(number) for number in (0, 4, 5, 6, 7, 8)}
        assert two.delete().blobs == 6
        assert not there()


@pytest.mark.parametrize("site", ["valkey+sqlite"], indirect=True)
def test_images_stay_where_somebody_may_need_them_that_one_does_not_know(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "blobs"
    settings = site.settings.model_copy(update={"blob_store": str(folder)})
    with Client(settings) as client:
        run = client.submit(faces(tmp_path, "one", range(3)))
        # A submit that reads the same images, and has no item yet.
        with closing(Filling(str(folder))) as filling:
            filling.hold()
            with pytest.raises(BlobsUnavailable, match=r"a submit is under way .*the rest of the run 'one' is deleted"):
                run.delete()
            assert run.progress().submitted == 3
        elsewhere = settings.model_copy(update={"database_url": f"sqlite:///{tmp_path}/other.db"})
        with Client(elsewhere) as other:
            other.submit(faces(tmp_path, "two", range(1)))
            assert "has those of the database sqlite:///" in str(run.contents().kept)
            done = run.delete()
            assert (done.items, done.blobs, "other.db" in str(done.kept)) == (3, 0, True)
            assert len(list(folder.glob("??/??/*"))) == 3
            other.run("two").delete()
    remote = settings.model_copy(update={"blob_store": "memory://blobs"})
    with Client(remote) as client:
        found = client.submit(faces(tmp_path, "three", range(2))).delete()
        assert (found.items, found.blobs, found.kept) == (2, 0, "PersQA deletes nothing from memory://blobs")
