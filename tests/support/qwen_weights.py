"""Builds the tiny model of Qwen2.5-VL's shape from a seed, in the ordinary Hugging Face layout.

What turns pictures and words into tokens is as in the family's own models: sizes of patches, limits of pixels, special
tokens, the form of a chat. The vocabulary is small and all weights are random.
"""

# transformers ships no usable types for most of what is built here.
# pyrefly: ignore-errors[unknown-attribute-access, unknown-variable-type]

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoConfig, Qwen2_5_VLForConditionalGeneration

_SEED = 20_250_128
#: Ten times the usual one: enough for pictures and question to change what is said.
_SPREAD = 0.2
_CONTEXT = 128_000
_WORDS = 1_000
#: Weights for more tokens than the tokenizer has, as in the family.
_VOCABULARY = 1_024

_TEXT_WIDTH = 128
_VISION_WIDTH = 64
#: Of each of the two.
_LAYERS = 2

_END_OF_TEXT, _END_OF_TURN = "<|endoftext|>", "<|im_end|>"
_SPECIAL = (
    _END_OF_TEXT,
    "<|im_start|>",
    _END_OF_TURN,
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
#: Added tokens that the family's tokenizers do not call special.
_ADDED = (
    "<tool_call>",
    "</tool_call>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
)

#: How the family cuts text into words.
_CUT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

_CHAT_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "{% for turn in messages %}"
    "{{ '<|im_start|>' ~ turn['role'] ~ '\n' }}"
    "{% if turn['content'] is string %}{{ turn['content'] }}"
    "{% else %}{% for part in turn['content'] %}"
    "{% if part['type'] in ('image', 'image_url') %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "{{ '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

_TOKENIZER = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "eos_token": _END_OF_TURN,
    "pad_token": _END_OF_TEXT,
    "additional_special_tokens": list(_SPECIAL),
    "model_max_length": 131_072,
    "clean_up_tokenization_spaces": False,
    "chat_template": _CHAT_TEMPLATE,
}

_IMAGE_PROCESSOR = {
    "image_processor_type": "Qwen2VLImageProcessor",
    "processor_class": "Qwen2_5_VLProcessor",
    "min_pixels": 3136,
    "max_pixels": 12_845_056,
    "patch_size": 14,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}

_SENTENCES = (
    "<mam> A person with short hair stands before a wall in a red coat and holds a bag in the left hand.",
    "The name of the main character in the image is <mam>. You need to answer a question about <mam>.",
    "Behind them a street with two parked cars and a tree can be seen in the evening light of a summer day in town.",
    "In the picture a woman in a blue jacket stands beside her bicycle and smiles at someone near the window.",
)


def write(folder: Path) -> None:
    """Write the model's files into an empty folder, as those of the family are, which every version of vLLM reads."""
    words = _tokenizer()
    config = _config(words)
    words.save(str(folder / "tokenizer.json"))
    for name, content in (
        ("tokenizer_config", _TOKENIZER),
        ("preprocessor_config", _IMAGE_PROCESSOR),
        ("config", config),
        ("generation_config", _generation_config(words)),
    ):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2))
    save_file(_weights(folder, words), folder / "model.safetensors", metadata={"format": "pt"})


def _tokenizer() -> Tokenizer:
    words = Tokenizer(models.BPE())
    words.normalizer = normalizers.NFC()
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_CUT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    words.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_WORDS, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    pools = [pool.read_text() for pool in sorted(files("persqa.question_pools").iterdir(), key=lambda pool: pool.name)]
    words.train_from_iterator([*_SENTENCES, *pools], trainer)
    words.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in _SPECIAL])
    words.add_tokens([AddedToken(text, special=False, normalized=False) for text in _ADDED])
    return words


def _weights(folder: Path, words: Tokenizer) -> dict[str, torch.Tensor]:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(_SEED)
        model = Qwen2_5_VLForConditionalGeneration(AutoConfig.from_pretrained(folder))
    _restrict(model, words)
    return model.state_dict()


def _config(words: Tokenizer) -> dict[str, object]:
    """Head sizes are those for which vLLM has attention kernels on every platform."""
    return {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "bos_token_id": _id(words, _END_OF_TEXT),
        "eos_token_id": _id(words, _END_OF_TURN),
        "vision_start_token_id": _id(words, "<|vision_start|>"),
        "vision_end_token_id": _id(words, "<|vision_end|>"),
        "vision_token_id": _id(words, "<|vision_pad|>"),
        "image_token_id": _id(words, "<|image_pad|>"),
        "video_token_id": _id(words, "<|video_pad|>"),
        "attention_dropout": 0.0,
        "hidden_act": "silu",
        "hidden_size": _TEXT_WIDTH,
        "initializer_range": _SPREAD,
        "intermediate_size": 2 * _TEXT_WIDTH,
        "max_position_embeddings": _CONTEXT,
        "max_window_layers": _LAYERS,
        "num_attention_heads": 2,
        "num_hidden_layers": _LAYERS,
        "num_key_value_heads": 1,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
        "rope_scaling": {"type": "mrope", "mrope_section": [8, 12, 12]},
        "sliding_window": 32_768,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": _VOCABULARY,
        "vision_config": {
            "model_type": "qwen2_5_vl",
            "depth": _LAYERS,
            "hidden_act": "silu",
            "hidden_size": _VISION_WIDTH,
            "intermediate_size": 2 * _VISION_WIDTH,
            "num_heads": 2,
            "in_chans": 3,
            "out_hidden_size": _TEXT_WIDTH,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "spatial_patch_size": 14,
            "window_size": 112,
            "fullatt_block_indexes": [_LAYERS - 1],
            "tokens_per_second": 2,
            "temporal_patch_size": 2,
            "initializer_range": _SPREAD,
        },
    }


def _generation_config(words: Tokenizer) -> dict[str, object]:
    ends = [_id(words, _END_OF_TURN), _id(words, _END_OF_TEXT)]
    return {
        "bos_token_id": ends[1],
        "pad_token_id": ends[1],
        "eos_token_id": ends,
        "do_sample": True,
        "repetition_penalty": 1.05,
        "temperature": 0.000001,
    }


def _id(words: Tokenizer, text: str) -> int:
    token = words.token_to_id(text)
    assert token is not None
    return token


@torch.no_grad()
def _restrict(model: Qwen2_5_VLForConditionalGeneration, words: Tokenizer) -> None:
    """Let the model say pieces of words only, as the noise model does, or end its turn."""
    added = words.get_added_tokens_decoder()
    known = range(words.get_vocab_size())
    speech = [token for token in known if token not in added and len(words.decode([token])) > 1]
    model.get_parameter("model.language_model.embed_tokens.weight")[:, 0] = 1
    for layer in range(_LAYERS):
        for last in ("self_attn.o_proj", "mlp.down_proj"):
            model.get_parameter(f"model.language_model.layers.{layer}.{last}.weight")[0] = 0
    bias = model.get_parameter("lm_head.weight")[:, 0]
    bias.fill_(-1000)
    bias[[*speech, _id(words, _END_OF_TURN)]] = 0
