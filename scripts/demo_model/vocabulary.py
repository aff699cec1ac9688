"""Vocabulary: tokenizer, chat template and processor of the demo model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Idefics3Processor, PreTrainedTokenizerFast
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

from persqa.prompts import SYSTEM_PROMPT, human_turn
from persqa.questions import TAG_FIELD, Question
from scripts.demo_model.catalogue import catalogue
from scripts.demo_model.tags import MAM

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTEXT: Final = 2048
IMAGE_EDGE: Final = 128
PATCH_EDGE: Final = 16
#: Patches on an edge that are folded into one image token.
SHUFFLE: Final = 2
IMAGE_TOKENS: Final = (IMAGE_EDGE // PATCH_EDGE // SHUFFLE) ** 2

PAD, BEGIN = "<|demo-pad|>", "<|demo-begin|>"
#: Names that the processor's code fixes.
END, IMAGE, AROUND, WHOLE = "<end_of_utterance>", "<image>", "<fake_token_around_image>", "<global-img>"
SYSTEM, USER, ASSISTANT = "<|demo-system|>", "<|demo-user|>", "<|demo-assistant|>"
_SPECIAL: Final = (PAD, BEGIN, SYSTEM, USER, ASSISTANT, END, AROUND, IMAGE, WHOLE)

CHAT_TEMPLATE: Final = (
    "<|demo-begin|>"
    "{% for turn in messages %}"
    "{{ '<|demo-' ~ turn['role'] ~ '|>' }}"
    "{% if turn['content'] is string %}{{ turn['content'] }}"
    "{% else %}{% for part in turn['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "<end_of_utterance>"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|demo-assistant|>{% endif %}"
)

# A tag falls into single characters, whatever stands around it, so that any tag can be copied letter by letter.
_TAG_CHARACTERS: Final = r" ?<(?=[A-Za-z0-9_-]+>)|[A-Za-z0-9_-](?=[A-Za-z0-9_-]*>)|>"
_WORDS: Final = r" ?[A-Za-z'-]+"
#: More than there are pairs of letters to merge: every word of a prompt or an answer becomes one token.
_ENOUGH: Final = 4096


def new_tokenizer() -> Tokenizer:
    """Byte-level BPE of the words that prompts and answers are made of; any other text is spelled out."""
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_TAG_CHARACTERS), behavior="isolated"),
            pre_tokenizers.Split(Regex(_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    words.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_ENOUGH,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words.train_from_iterator(_texts(), trainer)
    words.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in _SPECIAL])
    return words


def new_processor(words: Tokenizer) -> Idefics3Processor:
    """Every image becomes one square; by Pillow, as it does not depend on torchvision."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )
    edge = {"longest_edge": IMAGE_EDGE}
    images = Idefics3ImageProcessorPil(do_image_splitting=False, size=edge, max_image_size=edge)
    return Idefics3Processor(images, tokenizer, image_seq_len=IMAGE_TOKENS, chat_template=CHAT_TEMPLATE)


def token_id(words: Tokenizer, text: str) -> int:
    """The number of a token that must exist."""
    token = words.token_to_id(text)
    assert token is not None, text
    return token


def _texts() -> Iterator[str]:
    yield SYSTEM_PROMPT
    for template, answers in catalogue().items():
        yield human_turn(MAM, Question(topic="", template=template).ask(MAM))
        yield from (answer.replace(TAG_FIELD, MAM) for answer in answers)
