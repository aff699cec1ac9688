"""Optimiser: AdamW with warm-up and cosine decay, and a state that an interrupted training goes on from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_WARM_UP: Final = 0.04
_LAST: Final = 0.02
_LONGEST_GRADIENT: Final = 1.0
_CHECKPOINT_EVERY: Final = 250


class Optimiser:
    """Trains the parameters of some modules over a fixed number of steps."""

    def __init__(
        self, parts: Sequence[tuple[torch.nn.Module, float]], steps: int, *, weight_decay: float, checkpoint: Path
    ) -> None:
        """Prepare.

        Args:
            parts: modules, each with its peak learning rate.
            steps: of the whole schedule.
            weight_decay: of matrices; vectors have none.
            checkpoint: file of the state.
        """
        self._modules = [module for module, _ in parts]
        self._steps = steps
        self._checkpoint = checkpoint
        groups: list[dict[str, Any]] = []
        for module, peak in parts:
            for decays in (True, False):
                chosen = [weight for weight in module.parameters() if (weight.ndim > 1) is decays]
                groups.append({"params": chosen, "peak": peak, "weight_decay": weight_decay if decays else 0.0})
        self._adam = torch.optim.AdamW(groups, betas=(0.9, 0.95), fused=True)

    def resumed(self) -> int:
        """Go on from the checkpoint, if there is one; the number of steps already made."""
        if not self._checkpoint.exists():
            return 0
        state = torch.load(self._checkpoint, weights_only=True)
        assert state["steps"] == self._steps, f"{self._checkpoint} is of another schedule"
        for module, weights in zip(self._modules, state["modules"], strict=True):
            module.load_state_dict(weights)
        self._adam.load_state_dict(state["adam"])
        return state["done"]

    def step(self, loss: torch.Tensor, done: int) -> None:
        """Learn from a loss; `done` counts this step."""
        factor = _schedule((done - 1) / self._steps)
        for group in self._adam.param_groups:
            group["lr"] = group["peak"] * factor
        self._adam.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._weights(), _LONGEST_GRADIENT)
        self._adam.step()
        if done % _CHECKPOINT_EVERY == 0 or done == self._steps:
            self._save(done)

    def _weights(self) -> Iterable[torch.Tensor]:
        return (weight for group in self._adam.param_groups for weight in group["params"])

    def _save(self, done: int) -> None:
        state = {
            "steps": self._steps,
            "done": done,
            "modules": [module.state_dict() for module in self._modules],
            "adam": self._adam.state_dict(),
        }
        draft = self._checkpoint.with_suffix(".draft")
        torch.save(state, draft)
        draft.rename(self._checkpoint)


def batch_of(step: int, size: int, count: int, seed: int) -> torch.Tensor:
    """The pictures of a step: every picture once in each epoch, in an order that only the seed decides."""
    per_epoch = count // size
    epoch, place = divmod(step, per_epoch)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))
    return order[place * size : (place + 1) * size].sort().values


def _schedule(share: float) -> float:
    if share < _WARM_UP:
        return max(share, 1e-4) / _WARM_UP
    decayed = (share - _WARM_UP) / (1 - _WARM_UP)
    return _LAST + (1 - _LAST) * 0.5 * (1 + math.cos(math.pi * decayed))
