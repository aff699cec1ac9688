"""One offline `LLM.chat` over all items: the most that vLLM's own batch interface gives.

The same model and engine arguments, the same pictures from disk, the same words, the same sampling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.peers.serving import serve
from persqa.settings import load_settings

if TYPE_CHECKING:
    from vllm import LLM


def load() -> LLM:
    """The engine, started with what the worker gives its own, and with leave to read pictures from disk."""
    from worker.engines.vllm_arguments import engine_arguments

    arguments = engine_arguments(load_settings())
    from vllm import LLM

    return LLM(**arguments, allowed_local_media_path="/")


def answers(llm: LLM, items: list[dict[str, Any]]) -> list[str]:
    """Ask all of them in one call."""
    from vllm import SamplingParams

    if not items:
        return []
    sampling = [SamplingParams(**item["sampling"]) for item in items]
    return [output.outputs[0].text for output in llm.chat([_chat(item) for item in items], sampling, use_tqdm=False)]


def main() -> None:
    """Load, then answer one line after the other."""
    llm = load()
    serve(lambda items: answers(llm, items))


def _chat(item: dict[str, Any]) -> Any:
    pictures = [{"type": "image_url", "image_url": {"url": f"file://{image}"}} for image in item["images"]]
    return [
        {"role": "system", "content": item["system"]},
        {"role": "user", "content": [*pictures, {"type": "text", "text": item["user"]}]},
    ]


if __name__ == "__main__":
    main()
