"""Generation: one output of the engine, which the tag rule judges."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FinishReason(StrEnum):
    """Why a generation ended, in vLLM's words."""

    STOP = "stop"  #: an end-of-sequence token or a stop string
    LENGTH = "length"  #: `max_tokens` or the model's context was used up
    ABORT = "abort"  #: the request was cancelled
    ERROR = "error"  #: the engine failed on this request
    REPETITION = "repetition"  #: the engine's repetition detector stopped it


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """How likely the model found its own answer, in natural logarithms of probabilities: 0 is certain.

    Attributes:
        mean: of all tokens it generated, without the one that ends the answer.
        lowest: of the least likely token, which is `token`.
    """

    mean: float
    lowest: float
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One output of the engine.

    Attributes:
        text: the whole answer, including the prefill.
        prompt_tokens: tokens of the prompt, including those of the images and the prefill.
        output_tokens: tokens generated.
        confidence: None unless the request asks for `logprobs`.
    """

    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    output_tokens: int
    confidence: Confidence | None = None
