"""Noise model: a tiny vision-language model of random weights, so that everything runs without a GPU or a download.

It reads images and text as a real model does and answers with decodable noise. It is built where it is used, from a
seed, in the ordinary Hugging Face layout, and vLLM loads it by path.
"""

# transformers ships no usable types for most of what is built here.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3Processor,
    PreTrainedTokenizerFast,
)
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

#: Part of the folder's name; raise it whenever anything below changes what is built.
VERSION = 1

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

_PAD, _BEGIN = "<|noise-pad|>", "<|noise-begin|>"
_ROLES = {"system": "<|noise-system|>", "user": "<|noise-user|>", "assistant": "<|noise-answer|>"}
#: Names that the processor's code fixes.
_END, _IMAGE, _AROUND, _WHOLE = "<end_of_utterance>", "<image>", "<fake_token_around_image>", "<global-img>"
_SPECIAL = (_PAD, _BEGIN, *_ROLES.values(), _END, _AROUND, _IMAGE, _WHOLE)

_CHAT_TEMPLATE = (
    _BEGIN
    + "{% for message in messages %}{{ '<|noise-' ~ message['role'] ~ '|>' }}"
    + "{% if message['content'] is string %}{{ message['content'] }}"
    + "{% else %}{% for part in message['content'] %}"
    + "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    + "{% endfor %}{% endif %}"
    + "<end_of_utterance>{% endfor %}"
    + "{% if add_generation_prompt %}<|noise-answer|>{% endif %}"
).replace("<|noise-' ~ message['role'] ~ '|>", "<|noise-' ~ (message['role'] if message['role'] != 'assistant' else 'answer') ~ '|>")

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


def noise_model() -> Path:
    """The folder of the noise model, in the user's cache; built when it is not there yet."""
    cache = os.environ.get("XDG_CACHE_HOME")
    base = Path(cache) if cache else Path.home() / ".cache"
    folder = base / "persqa" / f"noise-model-{VERSION}"
    if not folder.is_dir():
        build_noise_model(folder)
    return folder


def build_noise_model(folder: Path) -> None:
    """Build the model; the folder appears complete or not at all, also when several processes build it at once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write(draft)
        # What mkdtemp makes is private; the finished model is as readable as any other folder of this user.
        draft.chmod(folder.parent.stat().st_mode & 0o755)
        try:
            draft.rename(folder)
        except OSError:
            # Another process was first. Its model is the same, byte for byte.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write(folder: Path) -> None:
    tokenizer = _tokenizer()
    processor = Idefics3Processor(
        _image_processor(), tokenizer, image_seq_len=_IMAGE_TOKENS, chat_template=_CHAT_TEMPLATE
    )
    model = _model(tokenizer)
    processor.save_pretrained(folder)
    model.save_pretrained(folder)


def _tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE whose words keep their punctuation, so that `grass.` can be one token that ends a sentence."""
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(" ", behavior="merged_with_next"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bare.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY - len(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bare.train_from_iterator(_SENTENCES, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bare,
        bos_token=_BEGIN,
        eos_token=_END,
        pad_token=_PAD,
        model_max_length=_CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.add_special_tokens({"additional_special_tokens": list(_SPECIAL)})
    tokenizer.chat_template = _CHAT_TEMPLATE
    return tokenizer
