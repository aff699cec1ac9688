"""Requests to an engine."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

from PIL import Image

from persqa.flags import look_at
from worker.engines.engine import Request
from worker.pictures import Picture

USER = "The name of the main character in the image is <mam>.\nQuestion: What colour is it? \nAnswer: "


def picture(edge: int = 64, *, shade: int = 0) -> Image.Image:
    return Image.effect_noise((edge, edge), 40 + shade).convert("RGB")


def in_hand(image: Image.Image) -> Picture:
    digest = hashlib.sha256(f"{image.size}".encode() + image.tobytes()).hexdigest()
    return Picture(digest, image, look_at(image))


def request(name: str, **changes: Any) -> Request:
    if "images" in changes:
        changes["images"] = [in_hand(image) for image in changes["images"]]
    plain = Request(
        request_id=name,
        system="Answer in one short sentence.",
        user=USER,
        prefill="",
        images=[in_hand(picture())],
        sampling={"temperature": 0.8, "max_tokens": 48},
        seed=7,
    )
    return dataclasses.replace(plain, **changes)
