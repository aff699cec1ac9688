"""The real vLLM on the CPU, with the noise model: what the worker relies on, measured where it comes from."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import gc
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import zmq
from PIL import Image

from persqa.errors import EngineDead, Infrastructure, SettingsError
from persqa.generations import FinishReason, Generation
from persqa.reasons import Reason
from persqa.settings import Settings
from tests.support.noise_model import build_noise_model, noise_settings
from tests.support.one_process import engines_in_one_process
from tests.support.requests import USER, picture, request
from tests.support.running_engine import RunningEngine
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


# vLLM warns of things that are not ours to mend. Loading takes minutes where others load engines at the same time.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]


def check_that_a_killed_one_leaves_nothing_open(running: RunningEngine) -> None:
    """A worker loads the next one in the same loop at once, and garbage is collected there."""
    client: Any = running.engine._engine.engine_core  # pyrefly: ignore[missing-attribute, protected-access]
    (core,) = (child for child in psutil.Process().children() if "EngineCore" in " ".join(child.cmdline()))

    async def lose() -> list[bool]:
        core.kill()
        # vLLM's own thread is first; the loop has no turn, as while the next engine is loaded.
        wait_until(lambda: not client._finalizer.alive, describe="the death is noticed")
        core.wait()
        await running.engine.stop()
        resources: dict[str, object] = client.resources.__dict__
        return [part.closed for part in resources.values() if isinstance(part, zmq.Socket)]

    closed = running.run(lose())
    assert len(closed) >= 2
    assert all(closed)


@pytest.fixture(scope="module")
def running() -> Iterator[RunningEngine]:
    running = RunningEngine(noise_settings(max_images=2, max_model_len=512))
    try:
        told: list[str] = []
        with pytest.MonkeyPatch.context() as patched, engines_in_one_process():
            patched.setattr("worker.process.condition.CONDITION.enter", told.append)
            running.run(running.engine.start())
        assert told == ["weights", "profiling"], "its own process tells how far the loading is"
        yield running
        assert running.answer(request("at the end")).output_tokens > 0, "the engine survived all of the above"
        check_that_a_killed_one_leaves_nothing_open(running)
    finally:
        running.close()
        # vLLM leaves a ZeroMQ context to the garbage collector, which warns; here the warning is ignored, later not.
        gc.collect()


@pytest.mark.parametrize("images", [0, 1, 2])
def test_answers_with_any_allowed_number_of_images(running: RunningEngine, images: int) -> None:
    got = running.answer(request("images", images=[picture(shade=index) for index in range(images)]))
    assert got.finish_reason in (FinishReason.STOP, FinishReason.LENGTH)
    assert 0 < got.output_tokens <= 48
    assert got.prompt_tokens > 16 * images


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (2000, 1500)])
def test_answers_about_images_of_odd_sizes(running: RunningEngine, size: tuple[int, int]) -> None:
    assert running.answer(request("size", images=[Image.new("RGB", size)])).output_tokens > 0


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.EMFILE, "Too many open files")])
def test_what_this_machine_lacks_is_no_fault_of_the_request(
    running: RunningEngine, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def fail(*_: object) -> None:
        # As vLLM passes on what its threads raise.
        raise ValueError("Failed to apply the processor") from error

    monkeypatch.setattr(running.engine._engine.renderer, "render_cmpl_async", fail)  # pyrefly: ignore[missing-attribute, protected-access]
    with pytest.raises(Infrastructure, match="this machine"):
        running.answer(request("short", images=[picture()]))


def test_more_images_than_allowed_are_refused(running: RunningEngine) -> None:
    assert running.reject(request("three", images=[picture()] * 3)).reason is Reason.REFUSED


def test_prefill_is_the_beginning_of_the_answer(running: RunningEngine) -> None:
    free, forced = running.answer(request("free")), running.answer(request("forced", prefill="<mam> "))
    assert forced.text.startswith("<mam> ")
    assert forced.prompt_tokens > free.prompt_tokens


@pytest.mark.parametrize("prefill", ["", "<mam> "])
def test_how_likely_an_answer_is_leaves_out_what_was_put_in_and_the_token_that_ends_it(
    running: RunningEngine, prefill: str
) -> None:
    image = picture()

    def answer(seed: int, **sampling: int) -> Generation:
        asked: dict[str, Any] = {"temperature": 0.8, "max_tokens": 48, "min_tokens": 3, **sampling}
        return running.answer(request("sure", seed=seed, images=[image], prefill=prefill, sampling=asked))

    assert answer(0).confidence is None
    answers = ((seed, answer(seed, logprobs=0)) for seed in range(20))
    seed, ended = next((seed, got) for seed, got in answers if got.finish_reason is FinishReason.STOP)
    # The same tokens without the one that ended it.
    cut = answer(seed, logprobs=0, max_tokens=ended.output_tokens - 1)
    assert (cut.text, cut.finish_reason) == (ended.text, FinishReason.LENGTH)
    for got in (ended, cut):
        assert got.confidence is not None
        assert -20 < got.confidence.lowest <= got.confidence.mean <= 0
        assert got.confidence.token in got.text.removeprefix(prefill)
    assert ended.confidence is not None
    assert cut.confidence is not None
    assert ended.confidence.mean == pytest.approx(cut.confidence.mean, rel=1e-3)


def test_the_engine_is_heard_of_before_its_answer_is_complete(running: RunningEngine) -> None:
    before = time.monotonic()
    answer = running.begin(request("long", sampling={"max_tokens": 256, "min_tokens": 256}))
    wait_until(lambda: running.engine.heard_at > before, describe="the engine is heard of", seconds=60)
    assert not answer.done()
    assert answer.result(timeout=120).output_tokens == 256


def test_the_seed_decides_the_answer(running: RunningEngine) -> None:
    image = picture(shade=3)
    first, again, other = (
        running.answer(request(str(index), images=[image], seed=seed)) for index, seed in enumerate([1, 1, 2])
    )
    assert first == again
    assert first.text != other.text


def test_the_image_is_seen(running: RunningEngine) -> None:
    answers = {
        running.answer(request(colour, images=[Image.new("RGB", (64, 64), colour)])).text
        for colour in ("black", "white", "red", "blue")
    }
    assert len(answers) > 1


def test_answers_are_text_that_any_database_stores_and_most_end_by_themselves(running: RunningEngine) -> None:
    begun = [running.begin(request(f"many-{seed}", seed=seed, images=[picture(shade=seed)])) for seed in range(32)]
    answers = [future.result(timeout=120) for future in begun]
    assert not [answer for answer in answers if "\0" in answer.text or "\ufffd" in answer.text]
    assert len([answer for answer in answers if answer.finish_reason is FinishReason.STOP]) > 16
    assert len({answer.text for answer in answers}) > 16


def test_a_crowd_whose_prompts_are_read_in_pieces_is_answered_as_each_would_be_alone(running: RunningEngine) -> None:
    # More than the engine reads in one step; without our plugin a seeded request that is cut there ends the engine.
    crowd = [request(f"crowd-{seed}", seed=seed, images=[picture()], user=USER * 8) for seed in range(160)]
    begun = [running.begin(one) for one in crowd]
    answers = [future.result(timeout=120) for future in begun]
    alone = [running.answer(dataclasses.replace(one, request_id=f"alone-{one.seed}")) for one in crowd[::20]]
    assert answers[::20] == alone


def test_the_end_of_the_context_ends_an_answer(running: RunningEngine) -> None:
    sampling = {"temperature": 1, "max_tokens": 100_000, "ignore_eos": True}
    got = running.answer(request("endless", sampling=sampling))
    assert got.finish_reason is FinishReason.LENGTH
    assert got.prompt_tokens + got.output_tokens == 512


@pytest.mark.parametrize(
    ("words", "message"),
    [(2000, "the model's context 512"), (470, "maximum model length of 512")],
    ids=["by its text", "by its images"],
)
def test_only_the_prompt_that_is_too_long_is_refused(running: RunningEngine, words: int, message: str) -> None:
    image = picture(shade=5)
    before = running.begin(request("before"))
    refused = running.reject(request("long", user=" b" * words, images=[image] * 2))
    assert refused.reason is Reason.TOO_LONG
    assert message in str(refused)
    assert before.result(timeout=60).output_tokens > 0
    assert running.answer(request("after", images=[image])).output_tokens > 0


@pytest.mark.parametrize(
    ("token", "field"),
    [
        ("<image>", "user"),
        ("<end_of_utterance>", "user"),
        ("<|noise-assistant|>", "user"),
        ("<global-img>", "prefill"),
    ],
)
def test_reserved_tokens_in_text_are_refused_by_name(running: RunningEngine, token: str, field: str) -> None:
    refused = running.reject(request("injected", **{field: f"before{token}after"}))
    assert refused.reason is Reason.SPECIAL_TOKEN
    assert token in str(refused)


@pytest.mark.parametrize(
    "sampling",
    [
        {"temperture": 1},
        {"temperature": "hot"},
        {"temperature": -1},
        {"temperature": float("nan")},
        {"top_p": 3},
        {"max_tokens": 0},
        {"seed": 1},
        {"n": 2},
        {"_eos_token_id": 1},
        {"stop": 5},
        {"stop_token_ids": ["x"]},
        {"logit_bias": {"99999": 1}},
        {"structured_outputs": {"regex": "("}},
    ],
    ids=str,
)
def test_sampling_that_cannot_be_used_is_refused(running: RunningEngine, sampling: dict[str, object]) -> None:
    assert running.reject(request("sampling", sampling=sampling)).reason is Reason.REFUSED


def test_cancelling_aborts_only_that_request(running: RunningEngine) -> None:
    endless = {"temperature": 1, "max_tokens": 400, "ignore_eos": True}
    cancelled = running.begin(request("cancelled", sampling=endless, seed=1))
    kept = running.begin(request("kept", sampling=endless, seed=2))
    running.answer(request("meanwhile"))
    cancelled.cancel()
    assert kept.result(timeout=120).output_tokens == 400
    assert running.engine._engine is not None  # pyrefly: ignore[protected-access]
    assert running.engine._engine.output_processor.get_num_unfinished_requests() == 0  # pyrefly: ignore[protected-access]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"engine_args": {"max_modl_len": 5}}, "max_modl_len"),
        ({"engine_args": {"model": "other"}}, "PERSQA_MODEL"),
        ({"engine_args": {"max_model_len": -7}}, "max_model_len"),
        ({"engine_args": {"dtype": "float7"}}, "dtype"),
        ({"model": "no/such-folder-or-model"}, "no/such-folder-or-model"),
    ],
    ids=str,
)
def test_what_cannot_be_loaded_is_a_wrong_setting(
    changes: dict[str, Any], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker.engines.vllm_engine import VllmEngine

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SettingsError, match=word) as caught:
        asyncio.run(VllmEngine(Settings(**changes)).start())
    assert "\n" not in str(caught.value)


def test_a_model_folder_that_does_not_exist_is_a_wrong_setting(tmp_path: Path) -> None:
    from worker.engines.vllm_engine import VllmEngine

    with pytest.raises(SettingsError, match="missing"):
        asyncio.run(VllmEngine(Settings(model=str(tmp_path / "missing"))).start())


def test_an_engine_that_is_not_running_is_dead() -> None:
    from worker.engines.vllm_engine import VllmEngine

    engine = VllmEngine(Settings())
    asyncio.run(engine.stop())
    with pytest.raises(EngineDead):
        asyncio.run(engine.generate(request("early")))


def test_building_the_noise_model_twice_leaves_one(tmp_path: Path) -> None:
    build_noise_model(tmp_path / "model")
    first = (tmp_path / "model" / "model.safetensors").read_bytes()
    build_noise_model(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == first
