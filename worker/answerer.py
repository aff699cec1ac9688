"""Answerer: asks the engine rung by rung, until an answer keeps the tag rule or the ladder ends."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from persqa.bad_images import BadContent
from persqa.errors import Rejected
from persqa.flags import Flag
from persqa.items import index_of
from persqa.policies import Rung, generation_seed
from persqa.prompts import human_turn
from persqa.reasons import Reason
from persqa.results import Outcome, Result, Status, Violation
from persqa.tags import Tag
from persqa.verdicts import findings, judge
from worker.engines.engine import Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persqa.flags import Finding
    from persqa.generations import Generation
    from persqa.messages import ItemMessage
    from persqa.verdicts import Kind
    from worker.engines.engine import Generates
    from worker.intake import Admitted
    from worker.pictures import Picture


@dataclass(frozen=True, slots=True)
class _Judged:
    """A generation, how it breaks the rule of its run, if it does, and its flags."""

    generation: Generation
    kind: Kind | None
    findings: tuple[Finding, ...]


class Answerer:
    """Makes the outcomes of items; each is stored with the name of this worker and of the model."""

    def __init__(self, engine: Generates, *, worker: str) -> None:
        self._engine = engine
        self._worker = worker

    async def answer(self, admitted: Admitted) -> Outcome:
        """Climb the policy's ladder.

        Raises:
            EngineLost: the engine died; the item has no outcome yet.
            EngineDead: the engine is gone for good.
        """
        message = admitted.message
        started = time.monotonic()
        violations: list[Violation] = []
        try:
            rung, judged = await self._climb(admitted, violations)
        except Rejected as rejected:
            # The generations of earlier rungs are kept.
            return Outcome(self.refuse(message, rejected).result, tuple(violations))
        generation, confidence = judged.generation, judged.generation.confidence
        result = Result(
            item_id=message.item,
            run_id=message.run,
            status=Status.OK if judged.kind is None else Status.NONCOMPLIANT,
            reason=judged.kind,
            answer=generation.text,
            rung=rung,
            finish_reason=generation.finish_reason,
            generations=len(violations) + (judged.kind is None),
            prompt_tokens=generation.prompt_tokens,
            output_tokens=generation.output_tokens,
            image_seconds=admitted.image_seconds,
            engine_seconds=time.monotonic() - started,
            worker=self._worker,
            model=self._engine.model,
            logprob_mean=confidence.mean if confidence else None,
            logprob_min=confidence.lowest if confidence else None,
            logprob_min_token=confidence.token if confidence else None,
        )
        return _with_evidence(Outcome(result, tuple(violations)), judged, admitted.images)

    async def _climb(self, admitted: Admitted, violations: list[Violation]) -> tuple[Rung, _Judged]:
        """Generate rung by rung; returns the first compliant generation, or the last one with its violation.

        Violations are added to the list at once, so that they are kept when a later rung is rejected.
        """
        message = admitted.message
        *earlier, last = message.policy.rungs
        for rung in earlier:
            judged = await self._generate(admitted, rung, violations)
            if judged.kind is None:
                return rung, judged
        return last, await self._generate(admitted, last, violations)

    async def _generate(self, admitted: Admitted, rung: Rung, violations: list[Violation]) -> _Judged:
        message = admitted.message
        seed = None
        if message.repeatable:
            index = index_of(message.item)
            seed = generation_seed(message.seed, index=index, rung=rung, requeues=message.requeues)
        generation = await self._engine.generate(_request(admitted, rung, seed))
        judged = _judge(generation, message)
        if judged.kind is not None:
            violation = Violation(
                item_id=message.item,
                run_id=message.run,
                rung=rung,
                kind=judged.kind,
                text=generation.text,
                finish_reason=generation.finish_reason,
                seed=seed,
                prompt_tokens=generation.prompt_tokens,
                output_tokens=generation.output_tokens,
                worker=self._worker,
                model=self._engine.model,
            )
            violations.append(violation)
        return judged

    def refuse(self, message: ItemMessage, rejected: Rejected) -> Outcome:
        """The outcome of an item that cannot be asked."""
        result = Result(
            item_id=message.item,
            run_id=message.run,
            status=Status.INVALID,
            reason=rejected.reason,
            detail=str(rejected) or repr(rejected),
            worker=self._worker,
            model=self._engine.model,
        )
        return Outcome(result, bad_images=(rejected.image,) if isinstance(rejected, BadContent) else ())

    def give_up(self, message: ItemMessage, reason: Reason, detail: str) -> Outcome:
        """The outcome of an item that is not tried again."""
        about = {"worker": self._worker, "model": self._engine.model}
        return Outcome.dead(message.item, message.run, reason, detail, **about)


def _request(admitted: Admitted, rung: Rung, seed: int | None) -> Request:
    message = admitted.message
    tag = Tag(message.tag)
    return Request(
        request_id=f"{message.item}-{rung}-{message.requeues}",
        system=message.system,
        user=human_turn(tag, message.question),
        prefill=tag if rung.forced else "",
        images=admitted.images,
        sampling=message.sampling,
        seed=seed,
    )


def _judge(generation: Generation, message: ItemMessage) -> _Judged:
    tag = Tag(message.tag)
    kind: Kind | None = judge(generation, tag=tag, question=message.question)
    found = findings(generation, tag=tag, question=message.question)
    if kind is None:
        kind = next((finding.flag for finding in found if finding.flag in message.reject), None)
    return _Judged(generation, kind, found)


def _with_evidence(outcome: Outcome, judged: _Judged, pictures: Sequence[Picture]) -> Outcome:
    if not pictures:
        return replace(outcome, findings=judged.findings)
    look = pictures[0].look
    # All blank pictures look the same, and are none that the run has had before.
    is_blank = any(finding.flag is Flag.BLANK for finding in look.findings)
    return replace(outcome, findings=(*judged.findings, *look.findings), picture_hash=None if is_blank else look.hash)
