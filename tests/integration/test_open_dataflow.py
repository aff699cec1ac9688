"""Our operator, storage and servings with the original package, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest

from tests.support.builders import colour_of, write_images

_ROOT = Path(__file__).parents[2]
#: The package, and of what it requires only what importing its core, its storages and its pipelines takes.
_REQUIREMENTS = ("open-dataflow==1.0.13", "colorlog", "tqdm")
#: As the package pins them; with what they need themselves.
_PINNED = ("pandas==2.3.3", "numpy<2", "pyarrow==20.0.0")

# One process makes the environment, however many there are.
pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("open-dataflow")]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the original package, and behind it everything that we need."""
    folder = tmp_path_factory.mktemp("open-dataflow")
    venv.create(folder, with_pip=False, symlinks=True)
    executable = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(executable), "install", "--quiet", "--no-input", "--no-compile"]
    for arguments in (["--no-deps", *_REQUIREMENTS], [*_PINNED]):
        subprocess.run([*pip, *arguments], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = folder / "lib" / version / "site-packages"
    # What such a file adds comes after what is installed there. A folder that is merely named in it is not asked for
    # `.pth` files of its own, and ours may have some: where it was made upon another environment, all it has is there.
    (site / "behind.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    return executable


def run_program(python: Path, folder: Path, program: str) -> Any:
    """Run it in a folder with six images and records; what it prints last is JSON."""
    write_images(folder / "data", 6)
    records = [
        {
            "image": [f"data/images/{index}.png"],
            "source": "s",
            "raw_content": f"prompt {index}",
            "conversation": [{"from": "human", "value": ""}],
        }
        for index in range(5)
    ]
    records[3]["image"] = ["data/images/none.png"]
    (folder / "sample_data.json").write_text(json.dumps(records))
    environment = {
        **os.environ,
        "PYTHONPATH": str(_ROOT),
        "PERSQA_ENGINE": "tests.support.scripted_engine:ScriptedEngine",
        "PERSQA_ENGINE_ARGS": json.dumps({"script": "tests.support.scripts:text_or_colour"}),
    }
    done = subprocess.run(
        [python, "-c", _PREAMBLE + program], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def colour(index: int) -> str:
    return "-".join(str(part) for part in colour_of(index))


ANSWERS = [f"<mam> is {colour(0)}", f"<mam> is {colour(1)}", f"<mam> is {colour(2)}", None, f"<mam> is {colour(4)}"]

_PREAMBLE = """
import json, os, sys
import persqa.dataflow as ours
assert not any(name.split(".")[0] == "dataflow" for name in sys.modules), "importing ours must not import theirs"
before = dict(os.environ)
model = ours.LocalModelVLMServing_vllm("a/model")
"""


def test_their_storage_feeds_our_operator(python: Path, tmp_path: Path) -> None:
    found = run_program(
        python,
        tmp_path,
        """
from dataflow.utils.storage import FileStorage
storage = FileStorage(first_entry_file_name="./sample_data.json", cache_path="./cache_local",
                      file_name_prefix="pers_qa_res", cache_type="json")
generator = ours.PersQAGenerator(llm_serving=model)
keys = generator.run(storage=storage.step(), input_modal_key="image", output_key="pers_qa")
print(json.dumps([keys, dict(os.environ) == before]))
""",
    )
    assert found == [["pers_qa"], True]
    written = json.loads((tmp_path / "cache_local" / "pers_qa_res_step1.json").read_text())
    assert [record["pers_qa"] for record in written] == ANSWERS
    assert written[3]["pers_qa_reason"].startswith("not_found: ")
    for given, record in zip(json.loads((tmp_path / "sample_data.json").read_text()), written, strict=True):
        assert {name: record[name] for name in ("image", "source")} == {
            name: given[name] for name in ("image", "source")
        }
        assert record["pers_qa_question"] in record["conversation"][0]["value"]


def test_their_operators_take_our_servings_and_storages(python: Path, tmp_path: Path) -> None:
    found = run_program(
        python,
        tmp_path,
        """
from dataflow.core import LLMServingABC, OperatorABC
from dataflow.operators.core_vision import PromptedVQAGenerator
from dataflow.utils.storage import DataFlowStorage
storage = ours.FileStorage("./sample_data.json", "./cache_local", "vqa", "jsonl")
queue = ours.QueueVLMServing(database_url="sqlite:///persqa.db", display=lambda _: None)
kinds = [isinstance(model, LLMServingABC), isinstance(queue, LLMServingABC), isinstance(storage, DataFlowStorage),
         isinstance(ours.PersQAGenerator(model), OperatorABC), isinstance(object(), LLMServingABC)]
PromptedVQAGenerator(model, system_prompt="sys").run(storage.step())
one = storage.step().read("dict")
storage.reset()
PromptedVQAGenerator(queue, system_prompt="sys").run(storage.step())
two = storage.step().read("dict")
queue.cleanup()
print(json.dumps([kinds, [row["generated_content"] for row in one], one == two]))
""",
    )
    assert found == [[True, True, True, True, False], [f"sys|prompt {index}|" for index in range(5)], True]


def test_their_pipeline_compiles_and_runs_our_operator_beside_theirs(python: Path, tmp_path: Path) -> None:
    found = run_program(
        python,
        tmp_path,
        """
from dataflow.operators.core_vision import PromptedVQAGenerator
from dataflow.pipeline import PipelineABC
from dataflow.utils.storage import FileStorage

class Pipeline(PipelineABC):
    def __init__(self):
        super().__init__()
        self.storage = FileStorage("./sample_data.json", "./cache_local", "p", "jsonl")
        self.pairs = ours.PersQAGenerator(model)
        self.captions = PromptedVQAGenerator(model)

    def forward(self):
        self.pairs.run(storage=self.storage.step(), input_modal_key="image", output_key="pers_qa")
        self.captions.run(storage=self.storage.step(), input_key="raw_content", output_key="caption")

pipeline = Pipeline()
pipeline.compile()
pipeline.forward()
assert model._client is None, "the pipeline frees a serving that nobody needs any more"
rows = ours.FileStorage("cache_local/p_step2.jsonl").step().read("dict")
print(json.dumps([[row["pers_qa"] for row in rows], [row["caption"] for row in rows]]))
""",
    )
    assert found == [ANSWERS, [f"You are a helpful assistant.|prompt {index}|" for index in range(5)]]
