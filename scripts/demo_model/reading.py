"""Reading: the text model over prompts that share their beginnings, which are read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from transformers import DynamicCache

from scripts.demo_model.dialogues import Dialogues, Segment, padded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import Idefics3ForConditionalGeneration

#: Keys and values of every layer, as far as was read.
Memory = list[tuple[torch.Tensor, torch.Tensor]]


def read_images(model: Idefics3ForConditionalGeneration, dialogues: Dialogues, seen: torch.Tensor) -> Memory:
    """Read everything up to the end of the image; a row per picture, whose image tokens are given."""
    _, opening = read(model, _embedded(model, torch.tensor([dialogues.opening])), None)
    tokens = torch.tensor([dialogues.image]).expand(len(seen), -1)
    words = _embedded(model, tokens)
    places = (tokens == model.config.image_token_id)[..., None]
    embedded = words.masked_scatter(places, seen.to(words.dtype))
    return read(model, embedded, rows_of(opening, torch.zeros(len(seen), dtype=torch.long)))[1]


def read_tokens(
    model: Idefics3ForConditionalGeneration, tokens: torch.Tensor, past: Memory
) -> tuple[torch.Tensor, Memory]:
    """Read further tokens; the last hidden states, and the longer memory."""
    return read(model, _embedded(model, tokens), past)


def read(
    model: Idefics3ForConditionalGeneration, embedded: torch.Tensor, past: Memory | None
) -> tuple[torch.Tensor, Memory]:
    """Read further embeddings."""
    cache = DynamicCache()
    for layer, (keys, values) in enumerate(past or ()):
        cache.update(keys, values, layer)
    begin = cache.get_seq_length()
    places = torch.arange(begin, begin + embedded.shape[1])[None]
    output = model.model.text_model(inputs_embeds=embedded, position_ids=places, past_key_values=cache, use_cache=True)
    layers = cast("list[Any]", cache.layers)
    return output.last_hidden_state, [(layer.keys, layer.values) for layer in layers]


def rows_of(memory: Memory, rows: torch.Tensor) -> Memory:
    """The memory of these rows, in this order."""
    return [(keys[rows], values[rows]) for keys, values in memory]


def answer_scores(
    model: Idefics3ForConditionalGeneration,
    dialogues: Dialogues,
    seen: torch.Tensor,
    segments: Sequence[Segment],
    groups: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores of every token of every answer, and the tokens; in groups of about equal length, shortest first."""
    memory = read_images(model, dialogues, seen)
    ordered = sorted(segments, key=lambda segment: len(segment.tokens))
    size = -(-len(ordered) // groups)
    hidden: list[torch.Tensor] = []
    targets: list[int] = []
    for start in range(0, len(ordered), size):
        group = ordered[start : start + size]
        past = rows_of(memory, torch.tensor([segment.image for segment in group]))
        states, _ = read_tokens(model, padded([segment.tokens for segment in group]), past)
        for row, segment in enumerate(group):
            hidden.append(states[row, segment.asked - 1 : len(segment.tokens) - 1])
            targets += segment.tokens[segment.asked :]
    return model.lm_head(torch.cat(hidden)).float(), torch.tensor(targets)


def _embedded(model: Idefics3ForConditionalGeneration, tokens: torch.Tensor) -> torch.Tensor:
    return model.get_input_embeddings()(tokens)
