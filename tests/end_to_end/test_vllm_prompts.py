"""Prompts as the tokenizer of a model has them: every byte of the text, and nothing of it a command."""

from __future__ import annotations

import gc
import random
import tracemalloc
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from persqa.errors import Rejected
from tests.support.noise_model import noise_model
from tests.support.requests import USER, picture, request
from worker.engines.chat_prompts import ChatPrompts

# Importing vLLM and loading its parts warns of things that are its own and not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")


def noise_tokenizer() -> Any:
    # Imported here: it takes ten seconds, which every process of the tests would spend on collecting them.
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(noise_model())


@pytest.fixture(scope="module")
def prompts() -> ChatPrompts:
    tokenizer = noise_tokenizer()
    return ChatPrompts(tokenizer, tokenizer.chat_template)


@pytest.mark.parametrize(
    "text", [USER, "  both ends  ", "\n\nlines\n\n", "{{ braces }} {% raw %}", "é漢字😀 \t", ""], ids=repr
)
def test_text_reaches_the_prompt_byte_for_byte(prompts: ChatPrompts, text: str) -> None:
    asked = request("bytes", user=text, prefill="<mam> ", images=[picture()] * 2)
    expected = (
        "<|noise-begin|><|noise-system|>Answer in one short sentence.<end_of_utterance>"
        f"<|noise-user|><image><image>{text}<end_of_utterance><|noise-assistant|><mam> "
    )
    assert prompts.text(asked) == expected
    assert prompts.tokens(asked).count(510) == 2


def test_an_empty_system_prompt_is_no_turn(prompts: ChatPrompts) -> None:
    assert "<|noise-system|>" not in prompts.text(request("bare", system=""))


def test_a_token_that_was_only_added_to_the_vocabulary_is_text() -> None:

    tokenizer = noise_tokenizer()
    tokenizer.add_tokens(["<mam>", "\n\n"])
    prompts = ChatPrompts(tokenizer, tokenizer.chat_template)
    assert tokenizer.convert_tokens_to_ids("<mam>") in prompts.tokens(request("personal", user="<mam>\n\n<mam>"))


def test_a_template_that_strips_leaves_the_text_alone(prompts: ChatPrompts) -> None:

    tokenizer = noise_tokenizer()
    stripping = ChatPrompts(tokenizer, tokenizer.chat_template.replace("part['text'] }}", "part['text'] | trim }}"))
    assert stripping.text(request("same")) == prompts.text(request("same"))


@pytest.mark.parametrize(
    "template",
    [
        "{% for turn in messages %}{{ turn['content'] }}{% endfor %}<|noise-assistant|>",
        "{{ messages[-1]['content'][-1]['text'] }}",
        "{{ raise_exception('no') }}",
        "<image>{{ messages[0]['content'] }}{{ messages[-1]['content'][-1]['text'] }}",
    ],
)
def test_a_template_without_a_place_for_everything_is_refused(template: str) -> None:

    tokenizer = noise_tokenizer()
    with pytest.raises(Rejected, match="chat template"):
        ChatPrompts(tokenizer, template)


def test_long_texts_are_not_kept(prompts: ChatPrompts) -> None:
    """A verbatim prompt may have a quarter of a megabyte, and a worker sees many."""
    prompts.tokens(request("warm", user="word"))
    tracemalloc.start()
    try:
        for number in range(50):
            prompts.tokens(request("long", user=f"{number} {'word ' * 2000}"))
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 10 * 10_000
    finally:
        tracemalloc.stop()


def test_text_that_is_made_at_the_end_is_the_text_that_is_made_token_by_token(prompts: ChatPrompts) -> None:
    from vllm import SamplingParams
    from vllm.v1.engine.detokenizer import IncrementalDetokenizer

    from worker.engines.vllm_inner import text_of

    tokenizer, chance = noise_tokenizer(), random.Random(7)
    plain = tokenizer.encode(USER + " é漢字😀 \t", add_special_tokens=False)
    prompt = prompts.tokens(request("long", images=[picture()])) + plain * 20
    for _ in range(50):
        # Halves of characters, special tokens, and all others.
        answer = [chance.choice([*plain, chance.randrange(len(tokenizer))]) for _ in range(chance.randrange(1, 40))]
        for stopped in (False, True):
            asked: Any = SimpleNamespace(
                request_id="r", prompt_token_ids=prompt, prompt_embeds=None, sampling_params=SamplingParams()
            )
            expected = IncrementalDetokenizer.from_new_request(tokenizer, asked)
            for place, token in enumerate(answer, 1):
                expected.update([token], stopped and place == len(answer))
            ended = SimpleNamespace(token_ids=answer, finish_reason="stop" if stopped else "length")
            output: Any = SimpleNamespace(request_id="r", prompt_token_ids=prompt, outputs=[ended])
            sampling = SamplingParams(detokenize=False)
            assert text_of(tokenizer, output, sampling) == expected.get_next_output_text(finished=True, delta=False)


@pytest.mark.parametrize("statistics", [False, True])
@pytest.mark.parametrize("wants", [{"detokenize": False}, {"stop": ["nowhere"]}, {"logprobs": 0}], ids=str)
def test_an_answer_whose_tokens_are_gathered_is_the_answer_of_vllm(wants: dict[str, Any], statistics: bool) -> None:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind
    from vllm.v1.engine import EngineCoreOutput, EngineCoreRequest, FinishReason
    from vllm.v1.engine.output_processor import OutputProcessor, RequestOutputCollector
    from vllm.v1.outputs import LogprobsLists

    from worker.engines.vllm_inner import hear_outputs

    sampling = SamplingParams(output_kind=RequestOutputKind.FINAL_ONLY, **wants)
    words = noise_tokenizer().encode(USER, add_special_tokens=False)

    def logprobs(token: int) -> LogprobsLists | None:
        numbers = np.array([[token]]), np.array([[-token / 7]]), np.array([0])
        return LogprobsLists(*numbers) if "logprobs" in wants else None

    def answer(*, heard: bool) -> Any:
        processor = OutputProcessor(noise_tokenizer(), log_stats=False)
        steps = list[None]()
        if heard:
            engine: Any = SimpleNamespace(output_processor=processor, log_stats=statistics)
            hear_outputs(engine, lambda: steps.append(None))
        request = EngineCoreRequest(
            request_id="1",
            prompt_token_ids=words,
            mm_features=None,
            sampling_params=sampling,
            pooling_params=None,
            arrival_time=0.0,
            lora_request=None,
            cache_salt=None,
            data_parallel_rank=None,
        )
        request.external_req_id = "one"
        processor.add_request(request, None, queue=(queue := RequestOutputCollector(sampling.output_kind, "1")))
        for number, token in enumerate(words, 1):
            reason = FinishReason.LENGTH if number == len(words) else None
            processor.process_outputs([EngineCoreOutput("1", [token], logprobs(token), finish_reason=reason)])
        assert len(steps) == heard * len(words)
        assert not processor.request_states
        return queue.get_nowait()

    assert answer(heard=True).outputs == answer(heard=False).outputs
    assert list(answer(heard=True).outputs[0].token_ids) == words
