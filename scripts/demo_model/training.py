"""Training: the second stage, in which the whole model learns to answer."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch.nn.functional import cross_entropy

from producer.demo import true_answers
from scripts.demo_model.optimiser import Optimiser, batch_of
from scripts.demo_model.pictures import Pictures, Stream, augmented, normalised
from scripts.demo_model.progress import Progress
from scripts.demo_model.reading import answer_scores
from scripts.demo_model.vision import Heads, attribute_labels, image_features

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import Idefics3ForConditionalGeneration

    from scripts.demo_model.dialogues import Dialogues

_PEAK: Final = 1.5e-3
#: What has learned to see already has less to learn.
_VISION_PEAK: Final = 3e-4
_WEIGHT_DECAY: Final = 0.05
#: Segments are read in groups of about equal length, for what pads the shorter ones is wasted.
_GROUPS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much is trained.

    Attributes:
        steps: of the whole stage.
        batch: pictures in a step.
        questions: asked about each of them.
    """

    steps: int
    batch: int
    questions: int


def train_answers(  # noqa: PLR0913 - what a stage is made of
    model: Idefics3ForConditionalGeneration,
    heads: Heads,
    dialogues: Dialogues,
    stream: Stream,
    pictures: Pictures,
    amount: Amount,
    *,
    name: str,
    folder: Path,
) -> None:
    """Train the whole model on questions about pictures; only what it says itself counts.

    The classifiers of the first stage go on beside it: what flows back from a text model that knows nothing yet would
    unteach the vision part to see. (It did: within some hundred steps all pictures looked the same to the text model,
    which never looked at them again.)
    """
    parts = [
        (model.model.vision_model, _VISION_PEAK),
        (model.model.connector, _VISION_PEAK),
        (heads, _VISION_PEAK),
        (model.model.text_model, _PEAK),
        (model.lm_head, _PEAK),
    ]
    labels = attribute_labels(stream, len(pictures))
    optimiser = Optimiser(parts, amount.steps, weight_decay=_WEIGHT_DECAY, checkpoint=folder / f"{name}.pt")
    begun = optimiser.resumed()
    progress = Progress(name, amount.steps, amount.batch, begun)
    for step in range(begun, amount.steps):
        chosen = batch_of(step, amount.batch, len(pictures), stream.seed + len(name))
        chance = torch.Generator().manual_seed(stream.seed * 1_000_003 + step)
        pixels = augmented(torch.from_numpy(pictures[chosen.numpy()]), chance)
        numbers: list[int] = chosen.tolist()
        truths = [true_answers(stream.person(index)) for index in numbers]
        segments = dialogues.segments(truths, amount.questions, random.Random(f"{name}/{stream.seed}/{step}"))
        with torch.autocast("cpu", torch.bfloat16):
            seen = image_features(model, pixels)
            scores, tokens = answer_scores(model, dialogues, seen, segments, _GROUPS)
            sight = heads.loss(seen, labels[chosen])
        loss = cross_entropy(scores, tokens)
        optimiser.step(loss + sight, step + 1)
        share = (scores.argmax(1) == tokens).float().mean().item()
        progress.show(step + 1, f"loss {loss.item():.4f}  right tokens {share:.2%}  sight {sight.item():.4f}")


@torch.no_grad()
def calm(model: Idefics3ForConditionalGeneration, pictures: Pictures) -> None:
    """Make image tokens as loud as words: otherwise nothing that the text model adds to them would be heard."""
    seen = image_features(model, normalised(torch.from_numpy(pictures[:200].copy())))
    words = model.get_input_embeddings().weight
    loudness = words.norm(dim=-1).mean() / seen.norm(dim=-1).mean()
    model.get_parameter("model.connector.modality_projection.proj.weight").mul_(loudness)
