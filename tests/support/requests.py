"""Requests to an engine."""

from __future__ import annotations

import dataclasses
from typing import Any

from PIL import Image

from worker.engines.engine import Request

USER = "The name of the main character in the image is <mam>.\nQuestion: What colour is it? \nAnswer: "


def picture(edge: int = 64, *, shade: int = 0) -> Image.Image:
    return Image.effect_noise((edge, edge), 40 + shade).convert("RGB")


def request(name: str, **changes: Any) -> Request:
    plain = Request(
        request_id=name,
        system="Answer in one short sentence.",
        user=USER,
        prefill="",
        images=[picture()],
        sampling={"temperature": 0.8, "max_tokens": 48},
        seed=7,
    )
    return dataclasses.replace(plain, **changes)
