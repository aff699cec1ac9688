"""Architecture: the demo model's layers, and its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file
from transformers import GenerationConfig, Idefics3Config, Idefics3ForConditionalGeneration

from scripts.demo_model.vocabulary import (
    BEGIN,
    CONTEXT,
    END,
    IMAGE,
    IMAGE_EDGE,
    PAD,
    PATCH_EDGE,
    SHUFFLE,
    new_processor,
    token_id,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tokenizers import Tokenizer

_SAVED_AS = torch.bfloat16


def new_model(words: Tokenizer, seed: int) -> Idefics3ForConditionalGeneration:
    """The model before training, in single precision."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        model = Idefics3ForConditionalGeneration(_config(words))
    # The plainest attention is the fastest one for rows this short, and most of all in training.
    model.set_attn_implementation("eager")
    model.config.architectures = [type(model).__name__]
    return model


def save_model(model: Idefics3ForConditionalGeneration, words: Tokenizer, folder: Path) -> None:
    """Write the ordinary Hugging Face layout; other files of the folder stay."""
    folder.mkdir(parents=True, exist_ok=True)
    new_processor(words).save_pretrained(folder)
    model.config.dtype = _SAVED_AS
    model.config.save_pretrained(folder)
    ids = {"bos_token_id": token_id(words, BEGIN), "pad_token_id": token_id(words, PAD)}
    GenerationConfig(**ids, eos_token_id=token_id(words, END)).save_pretrained(folder)
    # The model's own save_pretrained does the same, with a progress bar.
    weights = {name: weight.detach().to(_SAVED_AS).contiguous() for name, weight in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    # It is written for its owner only; the others are not.
    (folder / "model.safetensors").chmod(0o644)


def _config(words: Tokenizer) -> Idefics3Config:
    """Head sizes are those for which vLLM has attention kernels on every platform."""
    ids = {
        "bos_token_id": token_id(words, BEGIN),
        "eos_token_id": token_id(words, END),
        "pad_token_id": token_id(words, PAD),
    }
    vision: dict[str, object] = {
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "image_size": IMAGE_EDGE,
        "patch_size": PATCH_EDGE,
        "initializer_range": 0.05,
    }
    text: dict[str, object] = {
        "model_type": "llama",
        "vocab_size": words.get_vocab_size(),
        "hidden_size": 192,
        "intermediate_size": 512,
        "num_hidden_layers": 4,
        "num_attention_heads": 3,
        "num_key_value_heads": 3,
        "max_position_embeddings": CONTEXT,
        # The usual width is made for layers several times as wide.
        "initializer_range": 0.05,
        **ids,
    }
    return Idefics3Config(
        vision_config=vision,
        text_config=text,
        scale_factor=SHUFFLE,
        image_token_id=token_id(words, IMAGE),
        pad_token_id=token_id(words, PAD),
    )
