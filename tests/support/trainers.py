"""How trainers read an export of dialogues: by their own loaders where these are small, else by their rules.

As a program, in a process of its own, it lets the loader of one trainer read files: what trains is left out of it, and
loading that would take a minute. It prints, for each file, what came out.
"""

# What JSON holds is of no known type.
# pyrefly: ignore-errors[unknown-argument-type, unknown-variable-type]

from __future__ import annotations

import importlib.util
import io
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

from PIL import Image

#: A dialogue as a trainer sees it: what the system says, the turns with their speakers, and a shade for each picture.
Seen = dict[str, Any]


def read_as_llava(path: Path) -> list[Seen]:
    """LLaVA and LLaVA-NeXT: a JSON array, paths below the image folder, turns of `human` and `gpt` in exchange."""
    seen: list[Seen] = []
    for sample in json.loads(path.read_text()):
        turns = sample["conversations"]
        speakers = {"human": "user", "gpt": "assistant"}
        # Both look the speaker up as it is, the first one before all.
        assert [speakers[turn["from"]] for turn in turns] == ["user", "assistant"] * (len(turns) // 2)
        pictures: list[int] = []
        if "image" in sample:
            images = sample["image"] if isinstance(sample["image"], list) else [sample["image"]]
            pictures = [_shade(path.parent / name) for name in images]
        words = [re.sub("<image>\n?", "", turn["value"]) for turn in turns]
        assert sum(turn["value"].count("<image>") for turn in turns) == len(pictures)
        seen.append({"system": "", "turns": words, "pictures": pictures})
    return seen


def read_as_qwen_vl(path: Path) -> list[Seen]:
    """Qwen-VL's scripts: an array or lines; whoever is not `human` is the model; as many `<image>` as pictures."""
    text = path.read_text()
    samples = [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)
    seen: list[Seen] = []
    for sample in samples:
        images = sample.get("image") or []
        pictures = [images] if isinstance(images, str) else images
        turns = sample["conversations"]
        parts = [re.split("(<image>|<video>)", turn["value"]) for turn in turns[::2]]
        assert {turn["from"] for turn in turns[::2]} == {"human"}
        assert [part for found in parts for part in found if part in ("<image>", "<video>")] == ["<image>"] * len(
            pictures
        )
        words = [turn["value"] for turn in turns]
        words[::2] = ["".join(part.strip() for part in found if part != "<image>") for found in parts]
        seen.append({"system": "", "turns": words, "pictures": [_shade(path.parent / name) for name in pictures]})
    return seen


def _shade(image: Any) -> int:
    """The red of the first pixel of what a trainer holds for an image."""
    if isinstance(image, Mapping):
        image = io.BytesIO(image["bytes"]) if image["bytes"] is not None else image["path"]
    opened: Any = image if isinstance(image, Image.Image) else Image.open(image)
    return opened.convert("RGB").getpixel((0, 0))[0]


class _Empty(ModuleType):
    """A module that has whatever is asked for: classes by names like those of classes."""

    __path__ = []  # noqa: RUF012 - what is in it is found by name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found: Any = type(name, (), {}) if name[0].isupper() else MagicMock()
        setattr(self, name, found)
        return found


class _Absent(MetaPathFinder, Loader):
    """Stands in for what trains."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def find_spec(self, name: str, _path: object, _target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if name.startswith(self._names) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Empty(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def _module(name: str) -> Any:
    return import_module(name)


def _folder_of(name: str) -> Path:
    """Where a package lies, which is not loaded."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations)))


def _let_llama_factory_read(files: Sequence[Path], cache: str) -> dict[str, list[Seen]]:
    sys.meta_path.insert(0, _Absent("torch", "transformers", "peft", "accelerate", "av", "torchaudio", "omegaconf"))
    loader = _module("llamafactory.data.loader")
    plugin = _module("llamafactory.data.mm_plugin").BasePlugin(
        image_token="<image>", video_token=None, audio_token=None
    )
    get_dataset_list = _module("llamafactory.data.parser").get_dataset_list

    found: dict[str, list[Seen]] = {}
    for path in files:
        folder = str(path.parent)
        columns = {"messages": "conversations", "images": "image"}
        described = {"out": {"file_name": path.name, "formatting": "sharegpt", "columns": columns}}
        (path.parent / "dataset_info.json").write_text(json.dumps(described))
        (attributes,) = get_dataset_list(["out"], folder)
        data = SimpleNamespace(dataset_dir=folder, media_dir=folder, preprocessing_num_workers=None, streaming=False,
                               max_samples=None, overwrite_cache=True)  # fmt: skip
        model = SimpleNamespace(cache_dir=cache, hf_hub_token=None)
        seen = found[str(path)] = []
        for row in loader._load_single_dataset(attributes, model, data, SimpleNamespace(local_process_index=0)):
            turns, images = row["_prompt"] + row["_response"], row["_images"] or []
            plugin._validate_messages(turns, images, [], [])
            pictures = plugin._regularize_images(images, image_max_pixels=2**30, image_min_pixels=1)["images"]
            seen.append(_seen(turns, pictures, row["_system"] or ""))
    return found


def _alone(*_given: object) -> nullcontext[None]:
    return nullcontext()


def _let_ms_swift_read(files: Sequence[Path], cache: str) -> dict[str, list[Seen]]:
    datasets = _module("datasets")
    root = _folder_of("swift")
    for name, folder in {
        "swift": "",
        "swift.dataset": "dataset",
        "swift.dataset.preprocessor": "dataset/preprocessor",
    }.items():
        package = sys.modules[name] = ModuleType(name)
        package.__path__ = [str(Path(root, folder))]
    sys.meta_path.insert(0, _Absent("modelscope", "swift.template", "swift.utils", "swift.dataset.utils"))
    utils = _module("swift.utils")
    utils.safe_ddp_context = _alone
    utils.TOOL_KEYS = []
    core = _module("swift.dataset.preprocessor.core")
    found: dict[str, list[Seen]] = {}
    for path in files:
        kind = "parquet" if path.suffix == ".parquet" else "json"
        loaded = datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=cache)
        rows = core.AutoPreprocessor()(loaded, strict=True, enable_auto_mapping=True, load_from_cache_file=False)
        rows = core.RowPreprocessor.remove_useless_columns(rows)
        seen = found[str(path)] = []
        for row in rows:
            system, turns = ("", row["messages"])
            if turns[0]["role"] == "system":
                system, turns = turns[0]["content"], turns[1:]
            images = [image if image["bytes"] else path.parent / image["path"] for image in row["images"]]
            assert sum(turn["content"].count("<image>") for turn in row["messages"]) == len(images)
            seen.append(_seen(turns, images, system))
    return found


def _let_trl_read(files: Sequence[Path], cache: str) -> dict[str, list[Seen]]:
    datasets = _module("datasets")
    sys.meta_path.insert(0, _Absent("transformers"))
    where = _folder_of("trl") / "data_utils.py"
    spec: Any = importlib.util.spec_from_file_location("trl_data_utils", where)
    utils: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(utils)
    found: dict[str, list[Seen]] = {}
    for path in files:
        kind = "parquet" if path.suffix == ".parquet" else "json"
        rows: Any = datasets.load_from_disk(str(path)) if path.is_dir() else datasets.load_dataset(
            kind, data_files=str(path), split="train", cache_dir=cache
        )  # fmt: skip
        seen = found[str(path)] = []
        for row in rows:
            assert utils.is_conversational(row)
            messages = utils.prepare_multimodal_messages(row["messages"], images=row["images"])
            parts = [(message["role"], part) for message in messages for part in message["content"]]
            pictures = [part["image"] for _, part in parts if part["type"] == "image"]
            texts = [(role, part["text"]) for role, part in parts if part["type"] == "text"]
            # It decodes bytes by itself only where the file says that they are an image.
            assert all(isinstance(picture, str | Image.Image) for picture in pictures)
            system = "".join(text for role, text in texts if role == "system")
            turns = [{"role": role, "content": text} for role, text in texts if role != "system"]
            seen.append(_seen(turns, pictures, system))
    return found


def _seen(turns: Sequence[Mapping[str, str]], images: Sequence[Any], system: str) -> Seen:
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * (len(turns) // 2)
    words = [re.sub("<image>\n?", "", turn["content"]) for turn in turns]
    return {"system": system, "turns": words, "pictures": [_shade(image) for image in images]}


_LOADERS: dict[str, Callable[[Sequence[Path], str], dict[str, list[Seen]]]] = {
    "llama-factory": _let_llama_factory_read,
    "ms-swift": _let_ms_swift_read,
    "trl": _let_trl_read,
}

if __name__ == "__main__":
    trainer, cache_folder, *names = sys.argv[1:]
    print(json.dumps(_LOADERS[trainer]([Path(name) for name in names], cache_folder)))
