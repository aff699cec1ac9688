"""Programs with a model of their own: how they end, and how they start again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from persqa.dataflow import LocalModelVLMServing_vllm
from persqa.errors import SettingsError, WorkerDied
from persqa.settings import load_settings
from tests.integration.test_dataflow import colour, image
from tests.support.builders import write_images
from tests.support.wait import wait_until
from tests.support.workers import scripted

if TYPE_CHECKING:
    from persqa.settings import Settings

_ROOT = Path(__file__).parents[2]


_LOADED = """
import signal, sys
from persqa.dataflow import LocalModelVLMServing_vllm
model = LocalModelVLMServing_vllm("a/model")
print("loaded", flush=True)
"""
_FORKS = """
import multiprocessing
child = multiprocessing.get_context("fork").Process(target=len, args=[""])
child.start()
child.join()
print(model.generate_from_input(["a"], "s"))
"""
_ENDS = {
    "by SIGKILL while it loads": "signal.pause()",
    "by an exception": "raise KeyError",
    "by sys.exit": "sys.exit(3)",
    "normally": _FORKS,
    "by SIGTERM": "signal.pause()",
    "by SIGINT": "signal.pause()",
    "by SIGKILL": "signal.pause()",
}


def environment_of(script: str, **more: str) -> dict[str, str]:
    arguments = json.dumps({"script": f"tests.support.scripts:{script}"})
    scripted_engine = {"PERSQA_ENGINE": "tests.support.scripted_engine:ScriptedEngine", "PERSQA_ENGINE_ARGS": arguments}
    return {**os.environ, "PYTHONPATH": str(_ROOT), **scripted_engine, **more}


def program(folder: Path, code: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    """A plain script without a guard, from nowhere; a module of the folder has the name of one of ours."""
    (folder / "worker.py").write_text("raise SystemExit('not this one')")
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", code], cwd=folder, env=environment, text=True, **pipes)


def test_nothing_is_left_running_however_a_program_ends(tmp_path: Path) -> None:
    started: dict[str, subprocess.Popen[str]] = {}
    left: list[psutil.Process] = []
    outputs: dict[str, tuple[str, str]] = {}
    try:
        for name, code in _ENDS.items():
            (tmp_path / name).mkdir()
            started[name] = process = program(tmp_path / name, _LOADED + code, environment_of("text_or_colour"))
            if name.endswith("while it loads"):
                running = psutil.Process(process.pid)
                wait_until(lambda: len(running.children()) == 2, describe="both are started", seconds=60)  # noqa: B023
                left += running.children(recursive=True)
                process.kill()
        for name, process in started.items():
            if name in ("by SIGTERM", "by SIGINT", "by SIGKILL"):
                assert process.stdout is not None
                assert process.stdout.readline() == "loaded\n", process.communicate()
                left += psutil.Process(process.pid).children(recursive=True)
                process.send_signal(signal.Signals[name.split()[1]])
        outputs = {name: process.communicate(timeout=120) for name, process in started.items()}
    finally:
        for process in started.values():
            process.kill()
            process.communicate()
    for child in left:
        wait_until(lambda: not child.is_running(), describe=f"{child} ends", seconds=60)  # noqa: B023
    places = {process: process.info["cwd"] for process in psutil.process_iter(["cwd"])}
    assert not [process for process, place in places.items() if str(place).startswith(f"{tmp_path}/")]
    assert {name: process.returncode for name, process in started.items()} == {
        "normally": 0, "by an exception": 1, "by sys.exit": 3, "by SIGTERM": -15, "by SIGINT": -2,
        "by SIGKILL": -9, "by SIGKILL while it loads": -9,
    }, outputs  # fmt: skip
    assert outputs["normally"][0] == "loaded\n['s|a|']\n"


_CELL = """
from persqa.dataflow import FileStorage, LocalModelVLMServing_vllm, PersQAGenerator
model = LocalModelVLMServing_vllm("a/model", vllm_max_tokens=99)
storage = FileStorage("in.json", "cache", "pers_qa_res", "json")
storage.step()
PersQAGenerator(model).run(storage, "image", "pers_qa")
"""
_NOTEBOOK = f"""
import asyncio, os, signal, sys, threading

def untouched():
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    return dict(os.environ), handlers, sys.modules["__main__"], list(sys.path), os.getcwd()

async def kernel():
    before, names = untouched(), {{"__name__": "__main__"}}
    for number in range(2):
        exec(compile({_CELL!r}, "<cell>", "exec"), names)
        await asyncio.sleep(0)
        names["model"].cleanup()
    assert untouched() == before
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("persqa")]

asyncio.run(kernel())
"""


def test_in_a_notebook_nothing_of_the_process_is_touched(tmp_path: Path) -> None:
    write_images(tmp_path / "data", 3)
    (tmp_path / "in.json").write_text(json.dumps([{"image": image(index)} for index in range(3)]))
    environment = environment_of("named_by_tag", SCRIPT_NOTES=str(tmp_path / "notes"), PERSQA_MODEL="not/this")
    command = [sys.executable, "-"]
    # Like a kernel, it has no file; its code comes from somewhere else.
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, input=_NOTEBOOK, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith(f"loading a/model; its answers and its log are kept in {tmp_path}/persqa-serving\n")
    found = json.loads((tmp_path / "cache" / "pers_qa_res_step1.json").read_text())
    assert [record["pers_qa"] for record in found] == [f"<mam> is {colour(index)}" for index in range(3)]
    assert len((tmp_path / "notes").read_text().split()) == 3
    assert {path.name for path in tmp_path.iterdir()} == {"data", "in.json", "cache", "notes", "persqa-serving"}


def test_a_program_that_is_killed_and_started_again_asks_only_what_has_no_answer(tmp_path: Path) -> None:
    write_images(tmp_path / "data", 10)
    (tmp_path / "in.json").write_text(json.dumps([{"image": image(index)} for index in range(10)]))
    notes = tmp_path / "notes"
    more = {"SCRIPT_NOTES": str(notes), "SCRIPT_SECONDS": "0.5", "PERSQA_WINDOW": "2", "PERSQA_COMMIT_SECONDS": "0.05"}
    environment = environment_of("takes_long", **more)
    with program(tmp_path, _CELL, environment) as killed:
        wait_until(lambda: notes.exists() and len(notes.read_text().split()) > 4, describe="some are asked", seconds=60)
        worker = psutil.Process(killed.pid).children(recursive=True)
        killed.kill()
    assert not (tmp_path / "cache").exists()
    wait_until(lambda: not any(process.is_running() for process in worker), describe="its worker ends", seconds=30)
    asked = notes.read_text().split()
    assert len(asked) < 10
    with program(tmp_path, _CELL, environment) as again:
        _output, complaints = again.communicate(timeout=60)
        assert again.returncode == 0, complaints
    # What it had in hand when its program was gone, the worker has finished.
    asked = notes.read_text().split()
    assert len(asked) == len(set(asked)) == 10
    found = json.loads((tmp_path / "cache" / "pers_qa_res_step1.json").read_text())
    assert [record["pers_qa"] for record in found] == [f"<mam> is {colour(index)}" for index in range(10)]


# --- engines that cannot be started ---


def broken(settings: Settings, engine: str) -> Settings:
    return settings.model_copy(update={"engine": engine})


@pytest.mark.parametrize(
    ("engine", "sentence"),
    [
        ("tests.support.broken_gpu:BrokenGpuEngine", "vLLM cannot load the model: CUDA error: unspecified launch"),
        ("tests.support.scripts:NoEngine", "the engine 'tests.support.scripts:NoEngine' cannot be loaded"),
        ("worker.engines.vllm_engine:VllmEngine", "is vLLM installed?"),
    ],
)
def test_an_engine_that_cannot_be_started_says_so_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, sentence: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    # As if it were not there.
    (tmp_path / "vllm.py").write_text("raise ImportError('No module named vllm')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{_ROOT}")
    settings = broken(scripted(load_settings(), "text_or_colour"), engine)
    with pytest.raises(SettingsError) as caught:
        LocalModelVLMServing_vllm("a/model", settings=settings)
    assert sentence in str(caught.value)
    assert f"the log of the worker: {tmp_path}/persqa-serving/persqa-worker.log" in str(caught.value)
    assert "ended with exit code" not in str(caught.value)


def test_the_command_line_says_it_too(tmp_path: Path) -> None:
    records = write_images(tmp_path / "data", 1)
    environment = environment_of("text_or_colour", PERSQA_ENGINE="tests.support.scripts:NoEngine")
    command = [sys.executable, "-m", "producer.cli", "run", str(records)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True, check=False)
    assert done.returncode == 2
    assert "persqa: the engine 'tests.support.scripts:NoEngine' cannot be loaded" in done.stderr


def test_a_worker_that_ends_without_a_word_is_shown_by_its_log(tmp_path: Path) -> None:
    (tmp_path / "dies.py").write_text("import os\nprint('last words', flush=True)\nos._exit(7)")
    settings = broken(load_settings(), "dies:Engine")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", f"{tmp_path}:{_ROOT}")
        with pytest.raises(WorkerDied, match=r"exit code 7; the end of .*persqa-worker.log:(.|\n)*last words"):
            LocalModelVLMServing_vllm("a/model", settings=settings)
