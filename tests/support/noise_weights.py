"""Builds the noise model from a seed, in the ordinary Hugging Face layout, so that vLLM loads it by path."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3Processor,
    PreTrainedTokenizerFast,
)
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

_SEED = 20_240_229
_CONTEXT = 2048
_VOCABULARY = 512

_IMAGE_EDGE = 128
_PATCH_EDGE = 16
#: Patches on an edge that are folded into one image token.
_SHUFFLE = 2
_IMAGE_TOKENS = (_IMAGE_EDGE // _PATCH_EDGE // _SHUFFLE) ** 2

_TEXT_WIDTH = 128
_VISION_WIDTH = 64
#: Of each of the two.
_LAYERS = 2

_PAD, _BEGIN = "<|noise-pad|>", "<|noise-begin|>"
_ROLES = ("<|noise-system|>", "<|noise-user|>", "<|noise-assistant|>")
#: Names that the processor's code fixes.
_END, _IMAGE, _AROUND, _WHOLE = "<end_of_utterance>", "<image>", "<fake_token_around_image>", "<global-img>"
_SPECIAL = (_PAD, _BEGIN, *_ROLES, _END, _AROUND, _IMAGE, _WHOLE)

_CHAT_TEMPLATE = (
    "<|noise-begin|>"
    "{% for turn in messages %}"
    "{{ '<|noise-' ~ turn['role'] ~ '|>' }}"
    "{% if turn['content'] is string %}{{ turn['content'] }}"
    "{% else %}{% for part in turn['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "<end_of_utterance>"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|noise-assistant|>{% endif %}"
)

_SENTENCES = (
    "A brown dog lies on the grass in front of a wooden fence and looks at the camera.",
    "Two cats sleep on a red blanket near the window while rain falls outside!",
    "The small bird on the branch has a yellow breast and a black head.",
    "In the picture a white rabbit eats green leaves from a bowl on the kitchen floor.",
    "A girl with a blue jacket stands beside her bicycle and smiles at someone.",
    "There is a toy bear on the chair, and its left ear is torn!",
    "The horse runs across the field with its rider leaning forward.",
    "What colour is the collar, and where does the animal sit?",
    "An old man holds a cup of tea with both hands and listens to the radio.",
    "Behind the main character there is a street with parked cars and a tall tree.",
)


def write(folder: Path) -> None:
    """Write the model's files into an empty folder."""
    words = _tokenizer()
    model = _model(words)
    _processor(words).save_pretrained(folder)
    model.config.save_pretrained(folder)
    _generation_config(words).save_pretrained(folder)
    # The model's own save_pretrained does the same, with a progress bar.
    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})


def _tokenizer() -> Tokenizer:
    """Byte-level BPE whose words keep their punctuation, so that `torn!` can be one token that ends a sentence."""
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(" ", behavior="merged_with_next"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    words.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY - len(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words.train_from_iterator(_SENTENCES, trainer)
    words.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in _SPECIAL])
    return words


def _processor(words: Tokenizer) -> Idefics3Processor:
    """Every image becomes one square; by Pillow, as it does not depend on torchvision."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        bos_token=_BEGIN,
        eos_token=_END,
        pad_token=_PAD,
        model_max_length=_CONTEXT,
        clean_up_tokenization_spaces=False,
        chat_template=_CHAT_TEMPLATE,
    )
    edge = {"longest_edge": _IMAGE_EDGE}
    images = Idefics3ImageProcessorPil(do_image_splitting=False, size=edge, max_image_size=edge)
    return Idefics3Processor(images, tokenizer, image_seq_len=_IMAGE_TOKENS, chat_template=_CHAT_TEMPLATE)


def _generation_config(words: Tokenizer) -> GenerationConfig:
    return GenerationConfig(
        bos_token_id=_id(words, _BEGIN), pad_token_id=_id(words, _PAD), eos_token_id=_full_stops(words)
    )


def _model(words: Tokenizer) -> Idefics3ForConditionalGeneration:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(_SEED)
        model = Idefics3ForConditionalGeneration(_config(words))
    model.config.architectures = [type(model).__name__]
    _restrict(model, _full_stops(words) + _pieces(words))
    return model


def _config(words: Tokenizer) -> Idefics3Config:
    """Head sizes are those for which vLLM has attention kernels on every platform."""
    ids = {"bos_token_id": _id(words, _BEGIN), "eos_token_id": _id(words, _END), "pad_token_id": _id(words, _PAD)}
    vision: dict[str, object] = {
        "hidden_size": _VISION_WIDTH,
        "intermediate_size": 2 * _VISION_WIDTH,
        "num_hidden_layers": _LAYERS,
        "num_attention_heads": 2,
        "image_size": _IMAGE_EDGE,
        "patch_size": _PATCH_EDGE,
    }
    text: dict[str, object] = {
        "model_type": "llama",
        "vocab_size": words.get_vocab_size(),
        "hidden_size": _TEXT_WIDTH,
        "intermediate_size": 2 * _TEXT_WIDTH,
        "num_hidden_layers": _LAYERS,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": _CONTEXT,
        # Three times the usual width: enough for image and question to change what is likely to be said.
        "initializer_range": 0.06,
        **ids,
    }
    return Idefics3Config(
        vision_config=vision,
        text_config=text,
        scale_factor=_SHUFFLE,
        image_token_id=_id(words, _IMAGE),
        pad_token_id=_id(words, _PAD),
    )


def _full_stops(words: Tokenizer) -> list[int]:
    """Tokens that end an answer: the end of the turn, and whatever ends a sentence.

    Random weights give every token about the same chance, so with only the end of the turn to stop at, nearly every
    answer would run into `max_tokens` and be no example of a finished one. With one token in sixteen ending it, an
    answer sampled at a temperature around 1 has about a dozen tokens, and a few still hit the limit.
    """
    known = range(words.get_vocab_size())
    return [_id(words, _END), *(token for token in known if words.decode([token]).endswith((".", "!", "?")))]


def _pieces(words: Tokenizer) -> list[int]:
    """Tokens that make up an answer: pieces of words.

    Single bytes are left out, for they make broken UTF-8 and NUL, which PostgreSQL does not store; so are the special
    tokens, which belong to the prompt.
    """
    special = words.get_added_tokens_decoder()
    known = range(words.get_vocab_size())
    return [token for token in known if token not in special and len(words.decode([token])) > 1]


def _id(words: Tokenizer, text: str) -> int:
    token = words.token_to_id(text)
    assert token is not None
    return token


@torch.no_grad()
def _restrict(model: Idefics3ForConditionalGeneration, speech: list[int]) -> None:
    """Keep the model from ever saying tokens other than these, whatever loads or samples it.

    The first component of the hidden state is made a constant that no layer changes, which gives the output layer
    the bias that it has no parameter for.
    """
    model.get_parameter("model.text_model.embed_tokens.weight")[:, 0] = 1
    for layer in range(_LAYERS):
        for last in ("self_attn.o_proj", "mlp.down_proj"):
            model.get_parameter(f"model.text_model.layers.{layer}.{last}.weight")[0] = 0
    bias = model.get_parameter("lm_head.weight")[:, 0]
    bias.fill_(-30)
    bias[speech] = 0
