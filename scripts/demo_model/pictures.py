"""Pictures: portraits as the model sees them, drawn once and kept in the build folder."""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image

from producer import demo
from producer.demo import Person, draw, random_person
from scripts.demo_model.progress import Progress
from scripts.demo_model.vocabulary import IMAGE_EDGE

#: The stream that nothing is trained on.
HELD_OUT: Final = "held-out"
TRAIN: Final = "train"

#: Drawn in several sizes, for sharpness must not matter.
_EDGES: Final = (128, 160, 192, 256)
#: What users give the model: pictures of this size from a file.
_FILE_EDGE: Final = 384
_FILE_QUALITY: Final = 90
_AT_ONCE: Final = 250
_PROCESSES: Final = 2
_SHAPE: Final = (3, IMAGE_EDGE, IMAGE_EDGE)


#: Bytes: picture, channel, row, column.
Pictures = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True, slots=True)
class Stream:
    """An endless row of people and their pictures, each by its number.

    Attributes:
        name: people of different names have nothing to do with each other.
        seed: the same seed gives the same people.
    """

    name: str
    seed: int

    def person(self, index: int) -> Person:
        """Who is shown."""
        return random_person(random.Random(f"{self.name}/{self.seed}/{index}"))

    def drawing(self, index: int) -> Image.Image:
        """The picture as a user has it; in training in several sizes."""
        chance = random.Random(f"{self.name}/{self.seed}/{index}/drawing")
        if self.name == HELD_OUT:
            return _through_a_file(draw(self.person(index), chance, _FILE_EDGE))
        edge = random.Random(f"{self.name}/{self.seed}/{index}/edge").choice(_EDGES)
        return draw(self.person(index), chance, edge)

    def picture(self, index: int) -> Image.Image:
        """The drawing as the image processor hands it on: of the model's own size."""
        return self.drawing(index).resize((IMAGE_EDGE, IMAGE_EDGE), Image.Resampling.LANCZOS)

    def pictures(self, count: int, folder: Path) -> Pictures:
        """The first pictures as bytes, channels first; drawn when the folder does not have them yet."""
        path = folder / f"{self.name}-{self.seed}-{count}-{_version()}.bytes"
        if not path.exists():
            draft = path.with_suffix(".draft")
            folder.mkdir(parents=True, exist_ok=True)
            np.memmap(draft, np.uint8, "w+", shape=(count, *_SHAPE)).flush()
            self._draw_all(draft, count)
            draft.rename(path)
        return np.memmap(path, np.uint8, "r", shape=(count, *_SHAPE))

    def _draw_all(self, path: Path, count: int) -> None:
        starts = range(0, count, _AT_ONCE)
        progress = Progress(f"drawing {self.name}", len(starts), _AT_ONCE)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(_PROCESSES, mp_context=context) as pool:
            tasks = [pool.submit(_draw_some, self, path, count, start) for start in starts]
            for done, task in enumerate(tasks, 1):
                task.result()
                progress.show(done)


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    """Bytes as the numbers between -1 and 1 that the image processor makes of them."""
    return (pixels.float() / 255 - 0.5) / 0.5


def augmented(pixels: torch.Tensor, chance: torch.Generator, shift: int = 4) -> torch.Tensor:
    """Normalised pictures, each moved by a few pixels, lighter or darker, paler or stronger, and a little noisy."""
    count = len(pixels)
    wide = torch.nn.functional.pad(normalised(pixels), (shift,) * 4, mode="replicate")
    corners = torch.randint(0, 2 * shift + 1, (count, 2), generator=chance).numpy()
    moved = torch.stack(
        [one[:, y : y + IMAGE_EDGE, x : x + IMAGE_EDGE] for one, (y, x) in zip(wide, corners, strict=True)]
    )
    contrast = 1 + 0.08 * (2 * torch.rand((count, 1, 1, 1), generator=chance) - 1)
    brightness = 0.06 * (2 * torch.rand((count, 1, 1, 1), generator=chance) - 1)
    noise = 0.03 * torch.rand((count, 1, 1, 1), generator=chance) * torch.randn(moved.shape, generator=chance)
    return (moved * contrast + brightness + noise).clamp(-1, 1)


def _draw_some(stream: Stream, path: Path, count: int, start: int) -> None:
    pictures = np.memmap(path, np.uint8, "r+", shape=(count, *_SHAPE))
    for index in range(start, min(start + _AT_ONCE, count)):
        pictures[index] = np.asarray(stream.picture(index)).transpose(2, 0, 1)
    pictures.flush()


def _through_a_file(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_FILE_QUALITY)
    return Image.open(file).convert("RGB")


def _version() -> str:
    """Changes with the code that draws."""
    sources = [*sorted(Path(demo.__file__).parent.glob("*.py")), Path(__file__)]
    return hashlib.blake2b(b"\0".join(source.read_bytes() for source in sources), digest_size=4).hexdigest()
