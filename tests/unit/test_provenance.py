"""The digest of a model's files, and what a worker notes of itself."""

from __future__ import annotations

import hashlib
from pathlib import Path
from threading import Event

import pytest

from persqa.models import engine_version
from persqa.provenance import digest_of
from persqa.settings import load_settings
from worker.engines.provenance import provenance_of


def _model(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "sub" / "model.safetensors").write_bytes(b"weights")
    return folder


def test_a_digest_is_of_names_and_contents_wherever_they_lie(tmp_path: Path) -> None:
    one, other = _model(tmp_path / "one"), _model(tmp_path / "other")
    (other / ".cache").mkdir()
    (other / ".cache" / "left").write_text("by a tool")
    assert digest_of(one) == digest_of(other)
    (other / "sub" / "model.safetensors").write_bytes(b"other weights")
    assert digest_of(one) != digest_of(other)
    (one / "config.json").rename(one / "config2.json")
    assert len({digest_of(one), digest_of(_model(tmp_path / "three")), digest_of(other)}) == 3
    assert digest_of(one, stop=lambda: True) == ""


def test_files_of_the_hubs_cache_are_not_read_where_their_names_say_what_is_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    cache = tmp_path / "models--org--name"
    snapshot = cache / "snapshots" / commit
    (snapshot / "sub").mkdir(parents=True)
    (cache / "blobs").mkdir()
    weights = hashlib.sha256(b"weights").hexdigest()
    (cache / "blobs" / weights).write_bytes(b"not looked at")
    (cache / "blobs" / "c0ffee").write_text("{}")
    (snapshot / "sub" / "model.safetensors").symlink_to(cache / "blobs" / weights)
    (snapshot / "config.json").symlink_to(cache / "blobs" / "c0ffee")
    assert digest_of(snapshot) == digest_of(_model(tmp_path / "own"))
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    found = provenance_of("org/name", load_settings(), stop=Event())
    assert (found.files, found.revision, found.engine) == (digest_of(snapshot), commit, engine_version())


def test_an_engine_of_ones_own_has_no_files_that_are_known() -> None:
    found = provenance_of("none/such", load_settings(engine="my.engines:Mine"), stop=Event())
    assert (found.files, found.revision, found.engine) == ("", "", "my.engines:Mine")
