"""Engine and verdict, rung by rung."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from persqa.bad_images import BadContent, BadImage
from persqa.errors import EngineDead, Rejected
from persqa.messages import ItemMessage, item_messages
from persqa.policies import Policy, Rung
from persqa.prompts import SYSTEM_PROMPT, human_turn
from persqa.reasons import Reason
from persqa.results import Outcome, Status
from persqa.runs import RunId
from persqa.settings import load_settings
from persqa.verdicts import ViolationKind
from tests.support import scripts
from tests.support.builders import LEDGER, MAM, a_run, an_item
from tests.support.scripted_engine import Line, Script, ScriptedEngine
from worker.answerer import Answerer
from worker.intake import Admitted

if TYPE_CHECKING:
    from worker.engines.engine import Request


def answer(script: Script, **options: Any) -> Outcome:
    (content,) = item_messages([an_item(RunId(1), 3)], a_run(**options), ledger=LEDGER)
    message = ItemMessage.model_validate_json(content)
    admitted = Admitted(message=message, images=[Image.new("RGB", (8, 8))], image_seconds=0.5)
    answerer = Answerer(ScriptedEngine(load_settings(), script), worker="w")
    return asyncio.run(answerer.answer(admitted))


def test_the_engine_gets_the_prompt_byte_for_byte_and_the_runs_sampling() -> None:
    seen: list[Request] = []

    def script(request: Request) -> Line:
        seen.append(request)
        return scripts.compliant(request)

    answer(script, sampling={"temperature": 0.1, "max_tokens": 7})
    (request,) = seen
    assert request.user == human_turn(MAM, "Is it <mam>?")
    assert request.system == SYSTEM_PROMPT
    assert request.prefill == ""
    assert request.sampling == {"temperature": 0.1, "top_p": 0.9, "max_tokens": 7}


def test_a_compliant_answer_ends_the_ladder() -> None:
    outcome = answer(scripts.compliant)
    assert outcome.violations == ()
    result = outcome.result
    assert (result.status, result.rung, result.generations, result.reason) == (Status.OK, Rung.FREE, 1, None)
    assert (result.answer, result.worker, result.model) == ("<mam> wears a red coat.", "w", "scripted")
    assert result.image_seconds == 0.5


@pytest.mark.parametrize("repeatable", [False, True])
def test_the_repair_ladder_asks_anew_and_then_writes_the_tag(repeatable: bool) -> None:
    seen: list[Request] = []

    def script(request: Request) -> Line:
        seen.append(request)
        return scripts.never_the_tag(request)

    outcome = answer(script, repeatable=repeatable)
    assert [request.prefill for request in seen] == ["", "", "<mam>"]
    assert len({request.request_id for request in seen}) == 3
    if repeatable:
        assert len({request.seed for request in seen}) == 3
    else:
        # A seed costs the engine time at every token.
        assert {request.seed for request in seen} == {None}
    assert outcome.result.answer == "<mam> wears a hat."
    assert [violation.rung for violation in outcome.violations] == [Rung.FREE, Rung.RESEED]
    assert [violation.seed for violation in outcome.violations] == [request.seed for request in seen[:2]]
    assert {violation.text for violation in outcome.violations} == {"The person wears a hat."}


def test_a_run_that_only_checks_keeps_the_broken_answer() -> None:
    outcome = answer(scripts.never_the_tag, tag_policy=Policy.CHECK)
    assert outcome.result.status is Status.NONCOMPLIANT
    assert outcome.result.reason is ViolationKind.MISSING_TAG
    assert outcome.result.answer == "The person wears a hat."


def test_what_was_generated_before_a_rejection_is_kept() -> None:
    def script(request: Request) -> Line:
        if request.prefill:
            raise Rejected(Reason.SPECIAL_TOKEN, "no")
        return Line(text="broken")

    outcome = answer(script)
    assert (outcome.result.status, outcome.result.reason) == (Status.INVALID, Reason.SPECIAL_TOKEN)
    assert len(outcome.violations) == 2


def test_a_dead_engine_is_nobodys_result() -> None:
    with pytest.raises(EngineDead):
        answer(scripts.dies)


def test_a_message_says_whether_its_run_wants_a_recheck() -> None:
    item = an_item(RunId(1), 0)
    (plain,) = item_messages([item], a_run(), ledger=LEDGER)
    (again,) = item_messages([item], replace(a_run(), recheck=True), ledger=LEDGER)
    assert ItemMessage.model_validate_json(plain).recheck is False
    assert ItemMessage.model_validate_json(again).recheck is True


def test_a_content_that_is_at_fault_is_remembered_with_the_result() -> None:
    answerer = Answerer(ScriptedEngine(load_settings(), lambda _: Line(text="")), worker="w")
    (content,) = item_messages([an_item(RunId(1), 0)], a_run(), ledger=LEDGER)
    message = ItemMessage.model_validate_json(content)
    bad = BadImage(digest="0" * 64, reason=Reason.BROKEN_IMAGE, detail="it is broken")
    refused = answerer.refuse(message, BadContent(bad))
    assert (refused.bad_images, refused.result.reason) == ((bad,), Reason.BROKEN_IMAGE)
    assert answerer.refuse(message, Rejected(Reason.NOT_FOUND, "a.png: no such file")).bad_images == ()
