"""How likely the model found an answer, of what vLLM tells of its tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vllm.logprobs import FlatLogprobs

from persqa.generations import Confidence, FinishReason

if TYPE_CHECKING:
    from vllm import CompletionOutput


def confidence_of(completion: CompletionOutput) -> Confidence | None:
    """How likely the model found the tokens of an answer; None where nobody asked, or it has none."""
    found = completion.logprobs
    if not isinstance(found, FlatLogprobs):
        return None
    # The token that ends an answer is none of its words; vLLM gives its id where it is not the model's first such. Of
    # each place, the token that was chosen comes first.
    ends = completion.finish_reason == FinishReason.STOP and not isinstance(completion.stop_reason, str)
    chosen = found.start_indices[: len(found) - ends]
    if not chosen:
        return None
    values = [found.logprobs[place] for place in chosen]
    lowest = min(range(len(values)), key=values.__getitem__)
    token = found.decoded_tokens[chosen[lowest]] or ""
    return Confidence(mean=sum(values) / len(values), lowest=values[lowest], token=token)
