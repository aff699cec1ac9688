"""Which calls of the original's operator are the same run, and where their answers are kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from persqa.dataflow import (
    LocalModelVLMServing_vllm,
    PersQAGenerator,
    QueueVLMServing,
)
from persqa.settings import load_settings
from producer import Client
from producer.dataflow.servings import PersQAServing
from tests.support.servings import on_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Noted(Exception):
    """The name of the run that would have been submitted."""


@pytest.fixture
def _no_fleet(monkeypatch: pytest.MonkeyPatch) -> None:
    def submit(self: Client, data: object, *, run: str, **_options: object) -> None:  # noqa: ARG001
        raise Noted(run)

    def wait_ready(self: Client) -> None:
        """No worker is started."""

    monkeypatch.setattr(Client, "submit", submit)
    monkeypatch.setattr(Client, "wait_ready", wait_ready)


def run_name(
    folder: Path,
    records: Sequence[dict[str, Any]] = ({"image": "a.png", "id": 1}, {"image": "b.png"}),
    serving_class: Callable[..., PersQAServing] = LocalModelVLMServing_vllm,
    serving: dict[str, Any] | None = None,
    **options: Any,
) -> str:
    """How the run of these records is called; the model is in the folder."""
    settings = load_settings(database_url=f"sqlite:///{folder}/p.db")
    made = serving_class(**{"hf_model_name_or_path": f"{folder}/model", "settings": settings, **(serving or {})})
    with pytest.raises(Noted) as noted:
        PersQAGenerator(made, **options).run(on_disk(folder, list(records)))
    made.cleanup()
    return str(noted.value)


@pytest.mark.usefixtures("_no_fleet")
def test_other_data_options_and_engines_are_other_runs(tmp_path: Path) -> None:
    """Or the answers to one of them would pass for those to the other."""
    first = run_name(tmp_path)
    assert first.startswith("dataflow-")
    assert run_name(tmp_path) == first
    bigger = load_settings(database_url=f"sqlite:///{tmp_path}/p.db", window=3, max_image_bytes=9)
    assert run_name(tmp_path, serving={"vllm_gpu_memory_utilization": 0.5, "settings": bigger}) == first
    half = load_settings(database_url=f"sqlite:///{tmp_path}/p.db", engine_args={"dtype": "float16"})
    records = [{"image": "a.png", "id": 1}, {"image": "b.png"}]
    others = [
        run_name(tmp_path, records[:1]),
        run_name(tmp_path, records[::-1]),
        run_name(tmp_path, [records[0], {**records[1], "more": None}]),
        run_name(tmp_path, seed=1),
        run_name(tmp_path, tag="bob"),
        run_name(tmp_path, tag_policy="repair"),
        run_name(tmp_path, serving={"vllm_seed": 2}),
        run_name(tmp_path, serving={"vllm_temperature": 0.1}),
        run_name(tmp_path, serving={"vllm_max_tokens": 9}),
        run_name(tmp_path, serving={"vllm_max_model_len": 1024}),
        run_name(tmp_path, serving={"settings": half}),
        run_name(tmp_path, serving={"hf_model_name_or_path": "another"}),
        run_name(tmp_path, serving_class=QueueVLMServing),
        run_name(tmp_path, serving_class=QueueVLMServing, seed=1),
        run_name(tmp_path, serving_class=QueueVLMServing, serving={"vllm_temperature": 1.5}),
    ]
    assert len({first, *others}) == 1 + len(others)


@pytest.mark.usefixtures("_no_fleet")
def test_the_same_in_another_folder_of_other_questions_or_a_model_trained_anew_is_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = tmp_path / "pool.txt"
    pool.write_text("Who is {tag}?\n")
    (tmp_path / "model").mkdir()
    names = [run_name(tmp_path), run_name(tmp_path, pool=str(pool))]
    pool.write_text("Who is {tag}?\nWhat does {tag} wear?\n")
    names.append(run_name(tmp_path, pool=str(pool)))
    for training in (b"", b"more"):
        (tmp_path / "model" / "model.safetensors").write_bytes(training)
        names.append(run_name(tmp_path))
    (tmp_path / "model" / "config.json").write_text('{"max_position_embeddings": 2048}')
    names.append(run_name(tmp_path))
    assert run_name(tmp_path) == names[-1]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    names.append(run_name(tmp_path))
    assert len(set(names)) == len(names)


@pytest.mark.usefixtures("_no_fleet")
def test_what_it_keeps_is_in_one_folder_unless_the_settings_say_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PERSQA_BROKER_URL", "redis://nowhere.invalid/0")
    monkeypatch.setenv("PERSQA_BROKER_PASSWORD", "of the fleet")
    serving = LocalModelVLMServing_vllm("a/model", None, None, 2, settings=load_settings(engine_args={"dtype": "half"}))
    serving.cleanup()
    folder = tmp_path / "persqa-serving"
    assert caplog.messages == [f"loading a/model; its answers and its log are kept in {folder}"]
    assert [path.name for path in tmp_path.iterdir()] == ["persqa-serving"]
    assert serving.settings.database_url == f"sqlite:///{folder}/persqa.db"
    assert serving.settings.blob_store == str(folder / "blobs")
    assert serving.settings.broker_url is None
    assert serving.settings.engine_args == {
        "tensor_parallel_size": 2, "max_model_len": 4096, "gpu_memory_utilization": 0.9, "dtype": "half",
    }  # fmt: skip
    assert serving.sampling.model_dump(exclude_none=True) == {
        "temperature": 0.7, "top_p": 0.9, "top_k": 40, "max_tokens": 1024, "repetition_penalty": 1.0,
    }  # fmt: skip
    monkeypatch.setenv("PERSQA_DATABASE_URL", f"sqlite:///{tmp_path}/mine.db")
    monkeypatch.setenv("PERSQA_BLOB_STORE", f"{tmp_path}/bytes")
    other = LocalModelVLMServing_vllm("a/model", vllm_top_k=-1)
    other.cleanup()
    assert caplog.messages[1].endswith(f"kept in {tmp_path}/mine.db")
    assert other.settings.blob_store == f"{tmp_path}/bytes"
    assert other.sampling.top_k == 0
