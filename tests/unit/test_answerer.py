"""Engine and verdict, rung by rung."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from persqa.bad_images import BadContent, BadImage
from persqa.errors import EngineDead, Rejected
from persqa.flags import Flag, look_at
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


def answer(script: Script, picture: Image.Image | None = None, **options: Any) -> Outcome:
    (content,) = item_messages([an_item(RunId(1), 3)], a_run(**options), ledger=LEDGER)
    message = ItemMessage.model_validate_json(content)
    picture = picture or Image.new("RGB", (8, 8))
    admitted = Admitted(message=message, images=[picture], look=look_at(picture), image_seconds=0.5)
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


def test_the_repair_ladder_changes_the_seed_and_then_writes_the_tag() -> None:
    seen: list[Request] = []

    def script(request: Request) -> Line:
        seen.append(request)
        return scripts.never_the_tag(request)

    outcome = answer(script)
    assert [request.prefill for request in seen] == ["", "", "<mam>"]
    assert len({request.seed for request in seen}) == 3
    assert outcome.result.answer == "<mam> wears a hat."
    assert [violation.rung for violation in outcome.violations] == [Rung.FREE, Rung.RESEED]
    assert [violation.seed for violation in outcome.violations] == [request.seed for request in seen[:2]]
    assert {violation.text for violation in outcome.violations} == {"The person wears a hat."}


def test_a_run_that_only_checks_keeps_the_broken_answer() -> None:
    outcome = answer(scripts.never_the_tag, tag_policy=Policy.CHECK)
    assert outcome.result.status is Status.NONCOMPLIANT
    assert outcome.result.reason is ViolationKind.MISSING_TAG
    assert outcome.result.answer == "The person wears a hat."


def _refuses_until_forced(request: Request) -> Line:
    start = "" if request.prefill else "<mam> "
    return Line(text=f"{start} wears red." if request.prefill else f"{start}I'm sorry, I cannot help with that.")


def test_flags_of_answer_and_picture_are_noted_and_change_nothing() -> None:
    outcome = answer(_refuses_until_forced)
    assert (outcome.result.status, outcome.violations) == (Status.OK, ())
    flags = {found.flag: found for found in outcome.findings}
    assert {Flag.REFUSAL, Flag.BLANK, Flag.TINY} <= set(flags)
    place = slice(flags[Flag.REFUSAL].start, flags[Flag.REFUSAL].end)
    assert outcome.result.answer is not None
    assert "sorry" in outcome.result.answer[place]
    assert outcome.picture_hash is None, "blank pictures are not the same picture"
    assert answer(
        scripts.compliant, Image.effect_mandelbrot((64, 64), (-2, -1.5, 1, 1.5), 20).convert("RGB")
    ).picture_hash


def test_a_rejected_flag_breaks_the_rule_as_a_missing_tag_does() -> None:
    repaired = answer(_refuses_until_forced, reject="refusal,hedge")
    assert (repaired.result.status, repaired.result.rung) == (Status.OK, Rung.PREFILL)
    assert [(broken.rung, broken.kind) for broken in repaired.violations] == [
        (Rung.FREE, Flag.REFUSAL), (Rung.RESEED, Flag.REFUSAL)
    ]  # fmt: skip
    assert Flag.REFUSAL not in {found.flag for found in repaired.findings}
    checked = answer(_refuses_until_forced, reject=["refusal"], tag_policy=Policy.CHECK)
    assert (checked.result.status, checked.result.reason) == (Status.NONCOMPLIANT, Flag.REFUSAL)
    assert answer(_refuses_until_forced, reject="repetition").result.status is Status.OK


def test_a_message_of_a_run_without_them_has_no_new_fields() -> None:
    (plain,) = item_messages([an_item(RunId(1), 0)], a_run(), ledger=LEDGER)
    assert not {"reject", "logprobs"} & {*json.loads(plain), *json.loads(plain)["sampling"]}
    (asked,) = item_messages([an_item(RunId(1), 0)], a_run(reject="refusal", logprobs=True), ledger=LEDGER)
    assert ItemMessage.model_validate_json(asked).reject == (Flag.REFUSAL,)
    assert json.loads(asked)["sampling"]["logprobs"] == 0


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
