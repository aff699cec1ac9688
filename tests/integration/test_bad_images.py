"""What is known to be bad is not read again, unless somebody asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from persqa.bad_images import BadImage
from persqa.broker.connection import connect
from persqa.images import read_image
from persqa.items import item_id
from persqa.reasons import Reason
from persqa.results import Outcome, Status
from producer import Client
from tests.support.builders import a_stored_run, an_outcome
from tests.support.referring import answered, picture, quiet, write
from tests.support.workers import WorkerProcess, scripted

if TYPE_CHECKING:
    from pathlib import Path

    from persqa.store import Store
    from tests.conftest import Site


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
            assert first.requeue(Status.INVALID).taken_back == 1
            with WorkerProcess(settings, tmp_path):
                first.wait(timeout_seconds=60, display=quiet)
                assert first.progress().ended[Status.INVALID] == 1
                assert first.requeue(Status.INVALID, recheck=True).taken_back == 1
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
            broker.flushall()
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


def _digest(path: Path) -> str:
    return read_image(path.name, base=path.parent, limits=_limits()).digest


def _limits() -> Any:
    from persqa.images import ImageLimits

    return ImageLimits(roots=(), max_pixels=10_000, max_bytes=10_000)


def _known(store: Store, digest: str) -> str:
    since = store.bad_images.known([digest])[digest].first_seen
    return f"a.png: an old decoder failed; known since {since:%Y-%m-%d %H:%M} UTC, --recheck tries it again"
