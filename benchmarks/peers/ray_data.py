"""Ray Data's batch inference with vLLM (`pip install "ray[data,llm]"`), one engine, batches that follow each other.

Not part of the ordinary benchmark: Ray pins a vLLM of its own, and that one's build for the CPU cannot run the demo
model. On a GPU, with Ray and a vLLM it takes installed: `python -m benchmarks ray`.
"""

from __future__ import annotations

import json
from typing import Any

from benchmarks.peers.serving import serve
from persqa.settings import load_settings

_BATCH = 64


def main() -> None:
    """Build the pipeline, and give it what is asked."""
    import ray  # pyrefly: ignore[missing-import] - not installed here
    from ray.data.llm import build_processor, vLLMEngineProcessorConfig  # pyrefly: ignore[missing-import]

    from worker.engines.vllm_arguments import engine_arguments

    arguments = engine_arguments(load_settings())
    ray.init(logging_level="ERROR")
    config = vLLMEngineProcessorConfig(
        model_source=arguments.pop("model"),
        engine_kwargs={**arguments, "allowed_local_media_path": "/"},
        concurrency=1,
        batch_size=_BATCH,
        prepare_multimodal_stage={"enabled": True, "chat_template_content_format": "openai"},
    )
    processor = build_processor(config, preprocess=_chat, postprocess=_answer)

    def ask(items: list[dict[str, Any]]) -> list[str]:
        numbered = [{"number": number, "item": json.dumps(item)} for number, item in enumerate(items)]
        rows: list[dict[str, Any]] = processor(ray.data.from_items(numbered)).take_all()
        return [row["text"] for row in sorted(rows, key=lambda row: row["number"])]

    serve(ask)


def _chat(row: dict[str, Any]) -> dict[str, Any]:
    item = json.loads(row["item"])
    pictures = [{"type": "image_url", "image_url": {"url": f"file://{image}"}} for image in item["images"]]
    return {
        "number": row["number"],
        "sampling_params": item["sampling"],
        "messages": [
            {"role": "system", "content": item["system"]},
            {"role": "user", "content": [*pictures, {"type": "text", "text": item["user"]}]},
        ],
    }


def _answer(row: dict[str, Any]) -> dict[str, Any]:
    return {"number": row["number"], "text": row["generated_text"]}


if __name__ == "__main__":
    main()
