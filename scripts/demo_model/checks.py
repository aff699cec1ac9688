"""Checks: what is trained is what will be served."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import torch

from persqa.prompts import human_turn
from persqa.questions import TAG_FIELD
from producer.demo import true_answers
from scripts.demo_model.dialogues import Dialogues, request
from scripts.demo_model.pictures import HELD_OUT, TRAIN, Stream, normalised
from scripts.demo_model.reading import answer_scores
from scripts.demo_model.tags import HELD_OUT_TAGS, ODD_TAGS
from scripts.demo_model.vision import image_features
from scripts.demo_model.vocabulary import IMAGE, new_processor, token_id

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import Idefics3ForConditionalGeneration

    from persqa.tags import Tag

_STRANGE = ("", " ", "é漢字😀\t", "a<b", "<mam", "mam>", "< mam >", "x > y", "<m<am>>", "\r\n\n  end ", "\x00\x7f")


def check_tokens(words: Tokenizer, dialogues: Dialogues) -> None:
    """A tag is spelled letter by letter, no text is lost, and prompts are those of the worker."""
    for text in _STRANGE:
        assert words.decode(words.encode(text).ids) == text, text
    placeholder = token_id(words, IMAGE)
    for tag in (*HELD_OUT_TAGS, *ODD_TAGS):
        for around in ("{tag}", "{tag}'s", " {tag}!", "({tag}).", "a {tag} has"):
            assert _spelled(words, around.replace(TAG_FIELD, tag), tag), (around, tag)
        for template in true_answers(Stream("check", 0).person(0)):
            turn = human_turn(tag, template.replace(TAG_FIELD, tag))
            asked = dialogues.prompts.tokens(request(turn))
            assert asked == [*dialogues.opening, placeholder, *dialogues.questions([(template, tag)])[0]], turn


def _spelled(words: Tokenizer, text: str, tag: Tag) -> bool:
    tokens = words.encode(text).tokens
    begin = next(place for place, token in enumerate(tokens) if token.endswith("<"))
    return tokens[begin + 1 : begin + len(tag)] == [*tag[1:]]


def check_pixels(words: Tokenizer) -> None:
    """The processor makes of a picture file what the training makes of its bytes."""
    processor = new_processor(words).image_processor
    for stream in (Stream(HELD_OUT, 0), Stream(TRAIN, 0)):
        processed = processor(stream.drawing(0), return_tensors="pt")["pixel_values"][0, 0]
        assert torch.allclose(processed, _pixels(stream, 0), atol=1e-5), stream


@torch.no_grad()
def check_scores(model: Idefics3ForConditionalGeneration, dialogues: Dialogues) -> None:
    """Reading in groups with shared beginnings gives the scores of reading each dialogue alone."""
    stream = Stream("check", 0)
    pixels = torch.stack([_pixels(stream, index) for index in range(3)])
    truths = [true_answers(stream.person(index)) for index in range(3)]
    segments = sorted(dialogues.segments(truths, 3, random.Random(0)), key=lambda segment: len(segment.tokens))
    scores, _ = answer_scores(model, dialogues, image_features(model, pixels), segments, 2)
    alone: list[torch.Tensor] = []
    for segment in segments:
        tokens = torch.tensor([dialogues.whole(segment)])
        output = model(input_ids=tokens, pixel_values=pixels[segment.image][None, None])
        answer = len(segment.tokens) - segment.asked
        alone.append(output.logits[0, -answer - 1 : -1])
    assert torch.allclose(scores, torch.cat(alone), atol=1e-3)


def _pixels(stream: Stream, index: int) -> torch.Tensor:
    return normalised(torch.from_numpy(np.asarray(stream.picture(index)).transpose(2, 0, 1).copy()))
