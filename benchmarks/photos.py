"""Photos: pictures with the statistics of photographs, as no two are the same and JPEG takes its time with them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from benchmarks.site import Load

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_QUALITY = 90
#: Scenes of each size; the pictures are these, shifted.
_SCENES = 4
_FINEST = 2**10
#: From one octave of a scene to the next finer one.
_FADING = 0.6
_NOISE = 6


def photos(folder: Path, count: int, *, width: int, height: int) -> Load:
    """Records of so many JPEG photos, one each; the same ones at the next call."""

    def write(number: int) -> str:
        name = f"photo-{width}x{height}-{number}.jpg"
        if not (folder / name).exists():
            shift = number // _SCENES
            pixels = np.roll(_scene(width, height, number % _SCENES), (37 * shift, 53 * shift), (0, 1))
            Image.fromarray(pixels).save(folder / name, quality=_QUALITY)
        return name

    with ThreadPoolExecutor(2) as threads:
        names = list(threads.map(write, range(count)))
    records = folder / f"photos-{width}x{height}-{count}.jsonl"
    with records.open("w") as lines:
        for number, name in enumerate(names):
            record = {"id": number, "image": name, "conversation": [{"from": "human", "value": ""}]}
            lines.write(json.dumps(record) + "\n")
    return Load(records=records, items=count)


@cache
def _scene(width: int, height: int, seed: int) -> NDArray[np.uint8]:
    """Noise in several octaves has edges and textures of all sizes, and that of a sensor on top."""
    chance = np.random.default_rng([width, height, seed])
    scene: NDArray[np.float32] = np.zeros((height, width, 3), np.float32)
    cells, weight = 8, 1.0
    while cells <= min(_FINEST, max(width, height)):
        coarse = chance.integers(0, 256, (max(2, cells * height // width), cells, 3), np.uint8)
        scene += weight * np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
        cells, weight = 2 * cells, weight * _FADING
    noise = chance.normal(0, _NOISE, scene.shape)
    return np.clip(scene * (255 / scene.max()) + noise, 0, 255).astype(np.uint8)
