"""Vision: the first stage, in which only the part that sees learns, from the attributes themselves.

A picture costs a fraction here of what it costs in the whole model, and says fifteen things at once.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, cast

import torch
from torch.nn.functional import cross_entropy

from producer.demo import ATTRIBUTES
from scripts.demo_model.optimiser import Optimiser, batch_of
from scripts.demo_model.pictures import Pictures, Stream, augmented, normalised
from scripts.demo_model.progress import Progress, say
from scripts.demo_model.vocabulary import IMAGE_TOKENS

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import Idefics3ForConditionalGeneration

_PEAK: Final = 1e-3
_WEIGHT_DECAY: Final = 0.05
_SIZES: Final = [len(values) for values in ATTRIBUTES.values()]


class Heads(torch.nn.Module):
    """One linear classifier per attribute over all image tokens; needed in this stage only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(width, elementwise_affine=False)
        self.all = torch.nn.Linear(width * IMAGE_TOKENS, sum(_SIZES))

    def forward(self, seen: torch.Tensor) -> list[torch.Tensor]:
        """Scores of the values of each attribute."""
        return list(self.all(self.norm(seen).flatten(1)).float().split(_SIZES, 1))

    def loss(self, seen: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The mean over the attributes."""
        losses = [cross_entropy(scores, labels[:, index]) for index, scores in enumerate(self(seen))]
        return torch.stack(losses).mean()


def image_features(model: Idefics3ForConditionalGeneration, pixels: torch.Tensor) -> torch.Tensor:
    """What the text model gets to see of each picture: a row of image tokens."""
    # Typed for tensors of one type, and as giving a tuple or nothing at all.
    features: Any = cast("Any", model).get_image_features(pixels[:, None]).pooler_output
    return features


def train_vision(
    model: Idefics3ForConditionalGeneration,
    stream: Stream,
    pictures: Pictures,
    *,
    steps: int,
    batch: int,
    folder: Path,
) -> Heads:
    """Train the vision tower and the connector; they change in place."""
    labels = attribute_labels(stream, len(pictures))
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(stream.seed)
        heads = Heads(model.get_input_embeddings().weight.shape[1])
    parts = [(model.model.vision_model, _PEAK), (model.model.connector, _PEAK), (heads, _PEAK)]
    optimiser = Optimiser(parts, steps, weight_decay=_WEIGHT_DECAY, checkpoint=folder / "vision.pt")
    begun = optimiser.resumed()
    progress = Progress("vision", steps, batch, begun)
    for step in range(begun, steps):
        chosen = batch_of(step, batch, len(pictures), stream.seed)
        chance = torch.Generator().manual_seed(stream.seed * 1_000_003 + step)
        pixels = augmented(torch.from_numpy(pictures[chosen.numpy()]), chance)
        with torch.autocast("cpu", torch.bfloat16):
            loss = heads.loss(image_features(model, pixels), labels[chosen]) * len(_SIZES)
        optimiser.step(loss, step + 1)
        progress.show(step + 1, f"loss {loss.item() / len(_SIZES):.4f}")
    return heads


@torch.no_grad()
def report_vision(
    model: Idefics3ForConditionalGeneration, heads: Heads, stream: Stream, pictures: Pictures
) -> dict[str, float]:
    """How often each attribute is seen right on these pictures."""
    labels = attribute_labels(stream, len(pictures))
    right: list[torch.Tensor] = []
    for start in range(0, len(pictures), 100):
        some = slice(start, start + 100)
        with torch.autocast("cpu", torch.bfloat16):
            scores = heads(image_features(model, normalised(torch.from_numpy(pictures[some].copy()))))
        right.append(torch.stack([one.argmax(1) for one in scores], 1) == labels[some])
    shares: dict[str, float] = dict(zip(ATTRIBUTES, torch.cat(right).float().mean(0).tolist(), strict=True))
    say("seen by the vision part alone, held-out pictures")
    for name, share in shares.items():
        say(f"  {name:<20}{share:8.2%}")
    return shares


def attribute_labels(stream: Stream, count: int) -> torch.Tensor:
    """The number of each attribute's value; a row per picture."""
    rows = [
        [ATTRIBUTES[name].index(value) for name, value in asdict(stream.person(index)).items()]
        for index in range(count)
    ]
    return torch.tensor(rows)
