"""The program people have, as it stands, on the real vLLM: a plain script, without a guard around its `main`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from persqa.prompts import human_turn
from persqa.questions import load_pool
from persqa.records import record_key
from persqa.settings import Settings
from persqa.tags import Tag
from tests.conftest import Size
from tests.end_to_end.conftest import Demo
from tests.support.builders import MAM
from tests.support.one_process import in_one_process

_ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(600)

_IMPORTS = """
from persqa.dataflow import FileStorage, LocalModelVLMServing_vllm, PersQAGenerator, QueueVLMServing
"""
_PROGRAM = """
generator = PersQAGenerator(llm_serving=model)
storage = FileStorage(first_entry_file_name="./sample_data.json", cache_path="./cache_local",
                      file_name_prefix="pers_qa_res", cache_type="json")
storage.step()
generator.run(storage=storage, input_modal_key="image", output_key="pers_qa")
"""
_ENVIRONMENT = """
import json, os
print(json.dumps(dict(os.environ)))
"""


@pytest.fixture
def given(tmp_path: Path) -> list[dict[str, Any]]:
    """The example input: portraits, one record that has two, one without any, and two that are broken."""
    shutil.copytree(_ROOT / "examples" / "images", tmp_path / "images")
    (tmp_path / "images" / "bad.jpg").write_bytes(b"\xff\xd8\xff and no more")
    names = sorted(path.name for path in (tmp_path / "images").glob("portrait-*.jpg"))
    turns = [{"from": "human", "value": ""}]
    records: list[dict[str, Any]] = [
        {"image": [f"./images/{name}"], "source": "drawn", "id": f"00{number}", "conversation": turns}
        for number, name in enumerate(names)
    ]
    records += [
        {"image": f"./images/{names[0]}", "tag": "bob"},
        {"image": [f"./images/{name}" for name in names[:2]], "conversation": turns},
        {"note": "no image"},
        {"image": ["./images/bad.jpg"], "conversation": turns},
        {"image": ["./images/none.jpg"], "conversation": turns},
    ]
    (tmp_path / "sample_data.json").write_text(json.dumps(records))
    return records


def run_script(folder: Path, program: str, settings: Settings | None = None) -> subprocess.CompletedProcess[str]:
    """Run a plain script; what was in the caller's environment is there afterwards as it was."""
    script = folder / "program.py"
    script.write_text(_IMPORTS + program + _ENVIRONMENT)
    own = {"VLLM_LOGGING_LEVEL": "ERROR", "DF_API_KEY": "mine", "LD_LIBRARY_PATH": "/mine"}
    environment = {**in_one_process(), "PYTHONPATH": str(_ROOT), **own}
    environment.update(settings.environment() if settings else {})
    before = set(psutil.Process().children(recursive=True))
    done = subprocess.run(
        [sys.executable, script.name], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    after = json.loads(done.stdout.splitlines()[-1])
    assert {name: after.get(name) for name in environment} == environment
    assert not [child for child in psutil.Process().children(recursive=True) if child not in before]
    return done


def check_output(folder: Path, given: list[dict[str, Any]], *, seed: int = 42) -> list[Any]:
    """Field by field, but for the model's words; gives those."""
    found = json.loads((folder / "cache_local" / "pers_qa_res_step1.json").read_text())
    assert [path.name for path in (folder / "cache_local").iterdir()] == ["pers_qa_res_step1.json"]
    for before, after in zip(given, found, strict=True):
        tag = Tag("<bob>") if before.get("tag") else MAM
        (question,) = load_pool("human").draw(1, seed=seed, key=record_key(json.dumps(before)))
        answer, reason = after.pop("pers_qa"), after.pop("pers_qa_reason")
        assert after == {
            **before,
            "conversation": [{"from": "human", "value": human_turn(tag, question.ask(tag))}],
            "pers_qa_question": question.ask(tag),
        }
        if before.get("image") in (["./images/bad.jpg"], ["./images/none.jpg"]):
            assert answer is None
            assert reason.startswith(("broken_image: ", "not_found: "))
        else:
            assert isinstance(answer, str)
        after["pers_qa"] = answer
    return [record["pers_qa"] for record in found]


def test_the_program_runs_as_it_stands(tmp_path: Path, given: list[dict[str, Any]]) -> None:
    model = 'model = LocalModelVLMServing_vllm(hf_model_name_or_path="demo", vllm_tensor_parallel_size=1)\n'
    run_script(tmp_path, model + _PROGRAM)
    answers = check_output(tmp_path, given)
    portraits = answers[:12]
    # What the demo model says of portraits is no noise: it begins with the tag, and differs from one to the other.
    assert sum(answer.startswith("<mam> ") for answer in portraits) >= 10
    assert len(set(portraits)) > 5


_UNLOADABLE = {
    "'no/such/model'": "vLLM cannot load no/such/model with these engine arguments",
    "'demo', settings=Settings(engine_args={'dtype': 'none'})": "vLLM cannot load demo with these engine arguments",
    "'demo', settings=Settings(engine_args={'nonsense': 1})": "vLLM has no engine argument 'nonsense'",
}


@pytest.mark.parametrize("arguments", _UNLOADABLE)
def test_a_model_that_cannot_be_loaded_says_so_at_once(tmp_path: Path, arguments: str, size: Size) -> None:
    if not size(0, 1):
        pytest.skip("imports vLLM anew, and a scripted engine shows the same: only with --chaos")
    program = f"""
from persqa.errors import SettingsError
from persqa.settings import Settings
try:
    LocalModelVLMServing_vllm({arguments})
except SettingsError as error:
    print(error)
"""
    assert _UNLOADABLE[arguments] in run_script(tmp_path, program).stdout


def test_on_the_fleet_it_is_one_other_line(tmp_path: Path, given: list[dict[str, Any]], demo: Demo) -> None:
    demo.worker()
    run_script(tmp_path, "model = QueueVLMServing()\n" + _PROGRAM, demo.settings)
    assert sum(answer.startswith("<mam> ") for answer in check_output(tmp_path, given)[:12]) >= 10


def test_any_prompt_reaches_the_engine_with_all_its_images(
    tmp_path: Path, given: list[dict[str, Any]], demo: Demo
) -> None:
    assert given
    demo.worker()
    run_script(
        tmp_path,
        """
# So hot that no two answers are the same by chance.
model = QueueVLMServing(vllm_max_tokens=16, vllm_seed=3, vllm_temperature=2.0, vllm_top_k=0, vllm_top_p=1.0)
pictures = [["images/portrait-000001.jpg", "images/portrait-000002.jpg"], None, ["images/bad.jpg"]]
prompts = ["What is this?", "And what is that?", "And this?"]
once = model.generate_from_input(prompts, "You are brief.", pictures)
again = model.generate_from_input(prompts, "You are brief.", pictures)
other = model.generate_from_input_messages([[{"from": "human", "value": "<image>What is this?"}]],
                                           [["images/portrait-000003.jpg"]])
model.cleanup()
assert once == again, (once, again)
# An answer may be no word at all, and that is an answer too.
assert [text is None for text in (*once, *other)] == [False, False, True, False], (once, other)
assert len({once[0], once[1], other[0]}) == 3
""",
        demo.settings,
    )
