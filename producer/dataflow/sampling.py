"""The original's sampling parameters as those of a run."""

from __future__ import annotations

from pydantic import ValidationError

from persqa.errors import SettingsError
from persqa.runs import Sampling


def vllm_sampling(
    *, temperature: float, top_p: float, top_k: int, max_tokens: int, repetition_penalty: float
) -> Sampling:
    """Check them.

    Raises:
        SettingsError: with one line per wrong parameter.
    """
    try:
        return Sampling(
            temperature=temperature,
            top_p=top_p,
            # vLLM's older word for no limit.
            top_k=max(top_k, 0),
            max_tokens=max_tokens,
            repetition_penalty=repetition_penalty,
        )
    except ValidationError as error:
        lines = [f"vllm_{part['loc'][0]}: {part['msg']}" for part in error.errors()]
        raise SettingsError("wrong sampling parameters\n  " + "\n  ".join(lines)) from None
