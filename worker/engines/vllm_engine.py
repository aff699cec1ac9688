"""VllmEngine: vLLM behind the engine protocol."""

# vLLM ships inline types with holes in them, above all around its lazily loaded names and the tokenizers.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import time
from functools import wraps
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import zmq
from pydantic import TypeAdapter, ValidationError

# Before vLLM, which reads the environment when it is imported.
from persqa.complaints import explained
from persqa.words import counted
from worker.engines.vllm_arguments import engine_arguments

# isort: split

from vllm import AsyncEngineArgs, SamplingParams
from vllm.exceptions import VLLMValidationError
from vllm.inputs import TokensPrompt
from vllm.sampling_params import RequestOutputKind
from vllm.usage.usage_lib import UsageContext
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.metrics.loggers import StatLoggerBase

from persqa.errors import EngineDead, Infrastructure, Rejected, SettingsError, shortage
from persqa.generations import FinishReason, Generation
from persqa.images import Resolution
from persqa.models import default_model
from persqa.reasons import Reason
from worker.condition import CONDITION
from worker.engines.chat_prompts import ChatPrompts
from worker.engines.loading_steps import hearing_steps
from worker.engines.orphans import ending_with, kill_stamped, new_stamp, stamping
from worker.engines.vllm_logprobs import confidence_of

if TYPE_CHECKING:
    from vllm import RequestOutput

    from persqa.settings import Settings
    from worker.engines.engine import Request

#: Scaled and normalized images kept for the next questions about them, in GiB.
_PROCESSED_IMAGES_GB = 0.5

#: `generate` sets these for every request; a run cannot.
_OWN_SAMPLING = frozenset({"seed", "n", "output_kind", "flat_logprobs", "detokenize", "skip_clone", "stream_interval"})
_SAMPLING_NAMES = frozenset(
    name for name in SamplingParams.__struct_fields__ if not name.startswith("_") and name not in _OWN_SAMPLING
)
_SAMPLING = TypeAdapter(SamplingParams)


class VllmEngine:
    """One vLLM engine in a process of its own, used from the event loop that called `start`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine: AsyncLLM | None = None
        self._prompts: ChatPrompts | None = None
        self._queues: list[_Queue] = []
        #: The name or folder from the settings, or the default for this machine.
        self.model = settings.model or default_model()
        #: The resolution of the model's own image processor, known after `start`.
        self.resolution: Resolution | None = None
        self._stamp = new_stamp()
        #: When the engine process last sent tokens of any request, by `time.monotonic()`.
        self.heard_at = 0.0

    @property
    def waiting(self) -> int:
        """The sum that vLLM's schedulers last reported; 0 without a metrics port, as vLLM then keeps no statistics."""
        return sum(queue.waiting for queue in self._queues)

    async def start(self) -> None:
        """Load the model; this blocks the loop, because vLLM builds a part of itself there.

        Raises:
            SettingsError: the model or the engine arguments cannot be used.
        """
        arguments = engine_arguments(self._settings)
        try:
            # vLLM's class for offline use takes more requests at once and longer steps than its class for servers.
            with stamping(self._stamp), hearing_steps(CONDITION.enter):
                self._engine = AsyncLLM.from_engine_args(
                    AsyncEngineArgs(**arguments),
                    usage_context=UsageContext.LLM_CLASS,
                    stat_loggers=None if arguments.get("disable_log_stats") else [self._new_queue],
                )
        except Exception as error:
            # vLLM lets through what pydantic, transformers, the hub, torch and its engine process raise.
            raise SettingsError(
                f"vLLM cannot load {self.model} with these engine arguments: {_one_line(error)} (the log has more)"
            ) from error
        try:
            self._prompts = ChatPrompts(self._engine.get_tokenizer(), _chat_template(self._engine))
        except Rejected as error:
            raise SettingsError(f"{self.model} cannot be used: {error}") from error
        self.resolution = _resolution(self._engine)
        _share_processed_images(self._engine)
        self._listen(self._engine)

    async def generate(self, request: Request) -> Generation:
        """Answer one request, as `Engine` says; at the end of the model's context the answer ends with `length`.

        Raises:
            Rejected: this request can never be served; the engine is well.
            EngineDead: the engine is gone, for this request and all others.
            Infrastructure: this machine is short of something.
        """
        engine, prompts = self._engine, self._prompts
        if engine is None or prompts is None:
            raise EngineDead("the engine is not running")
        sampling = _sampling(request)
        tokens = prompts.tokens(request)
        if len(tokens) >= (limit := engine.model_config.max_model_len):
            # Too long even without its images, which need not be processed then.
            size = f"{counted(len(tokens), 'token')}, and the model's context {limit}"
            raise Rejected(Reason.TOO_LONG, f"the prompt has {size} (max_model_len in PERSQA_ENGINE_ARGS)")
        try:
            output = await _output(engine, request, tokens, sampling)
        except EngineDeadError as error:
            raise EngineDead("the process of the vLLM engine has ended") from error
        except Exception as error:
            # The model's own image processor may raise anything, too.
            raise self._failure(error) from error
        return _generation(request, output)

    def kill(self) -> None:
        """Kill the engine's processes; requests in flight then fail with `EngineDead`."""
        kill_stamped(self._stamp)

    async def stop(self) -> None:
        """Free everything; safe to call twice or before `start`."""
        engine, self._engine, self._prompts = self._engine, None, None
        if engine is None:
            return
        # Nobody waits for its answers any more; its processes would tidy up for seconds what the system frees at once.
        with ending_with(self._stamp):
            engine.shutdown(timeout=0)
        _close_sockets(engine)

    def _new_queue(self, _config: object, _index: int) -> _Queue:
        self._queues.append(_Queue())
        return self._queues[-1]

    def _listen(self, engine: AsyncLLM) -> None:
        """Note when tokens come: an answer comes only when it is complete, which may take a healthy engine long."""
        process_outputs = engine.output_processor.process_outputs

        @wraps(process_outputs)
        def process(*arguments: Any, **options: Any) -> Any:
            self.heard_at = time.monotonic()
            return process_outputs(*arguments, **options)

        engine.output_processor.process_outputs = process

    def _failure(self, error: Exception) -> Rejected | Infrastructure:
        if self._engine is None or self._engine.errored:
            return EngineDead("the vLLM engine stopped while it was answering")
        if (lacking := shortage(error)) is not None:
            return lacking
        if isinstance(error, VLLMValidationError) and "maximum" in str(error) and "length" in str(error):
            return Rejected(Reason.TOO_LONG, _one_line(error))
        # vLLM's EngineGenerateError has only a cause, and no text of its own.
        return Rejected(Reason.REFUSED, f"vLLM refused the request: {_one_line(error.__cause__ or error)}")


class _Queue(StatLoggerBase):
    """The number of requests that wait in one engine process of vLLM, as reported after each step."""

    def __init__(self) -> None:
        self.waiting = 0

    def record(self, scheduler_stats: Any, *_arguments: Any, **_options: Any) -> None:
        """Keep the number of requests that wait."""
        if scheduler_stats is not None:
            self.waiting = scheduler_stats.num_waiting_reqs

    def log_engine_initialized(self) -> None:
        """Nothing to log."""


def _close_sockets(engine: AsyncLLM) -> None:
    """Close the sockets to an engine's process now; called in the loop that uses them.

    Where a thread of vLLM's notices first that the process is dead, it leaves this to the loop. There, the next engine
    is being loaded by then. When garbage is collected meanwhile, the old sockets' context waits until they are closed,
    which is for ever.
    """
    client: Any = engine.engine_core
    for part in vars(client.resources).values():
        if isinstance(part, zmq.Socket):
            part.close(linger=0)


def _chat_template(engine: AsyncLLM) -> str:
    tokenizer: Any = engine.get_tokenizer()
    template = tokenizer.chat_template
    if template is None and engine.renderer.mm_processor is not None:
        processor: Any = engine.renderer.mm_processor.info.get_hf_processor()
        template = processor.chat_template
    # A model with several templates has a dictionary of them.
    template = template.get("default") if isinstance(template, dict) else template
    if not isinstance(template, str):
        raise SettingsError("the model has no chat template, so it is not made for questions")
    return template


def _share_processed_images(engine: AsyncLLM) -> None:
    """Scale and normalize an image once for all questions about it.

    This uses vLLM's cache in this process only. vLLM itself does so only where several processes feed one engine.
    """
    renderer: Any = engine.renderer
    if renderer.mm_processor is None or getattr(renderer, "_mm_processor_cache", renderer) is not None:
        return
    from vllm.multimodal.cache import MultiModalProcessorOnlyCache

    size = SimpleNamespace(mm_processor_cache_gb=_PROCESSED_IMAGES_GB)
    model_config: Any = SimpleNamespace(get_multimodal_config=lambda: size)
    renderer._mm_processor_cache = MultiModalProcessorOnlyCache(model_config)  # noqa: SLF001


def _resolution(engine: AsyncLLM) -> Resolution | None:
    """The size that the model's image processor scales images down to; None for an unknown kind of processor."""
    if engine.renderer.mm_processor is None:
        return None
    processor: Any = engine.renderer.mm_processor.info.get_hf_processor()
    images: Any = getattr(processor, "image_processor", None)
    longest = (getattr(images, "size", None) or {}).get("longest_edge")
    if not isinstance(longest, int) or not getattr(images, "do_resize", False):
        return None
    match type(images).__name__:
        case name if name.startswith(("Idefics3", "SmolVLM")):
            return Resolution(edge=longest)
        case name if name.startswith("Qwen2VL"):
            # Despite its name this is a number of pixels.
            return Resolution(pixels=longest)
        case _:
            return None


def _sampling(request: Request) -> SamplingParams:
    if unknown := sorted(request.sampling.keys() - _SAMPLING_NAMES):
        raise Rejected(Reason.REFUSED, f"sampling: {', '.join(unknown)} cannot be set")
    own = {"seed": request.seed, "n": 1, "output_kind": RequestOutputKind.FINAL_ONLY, "flat_logprobs": True}
    try:
        # Checked here, because the engine process would die of a value that it cannot decode.
        return _SAMPLING.validate_python({**request.sampling, **own})
    except ValidationError as error:
        wrong = [
            f"{name}: {explained(part)}" for part in error.errors() for name in part["loc"] if name in request.sampling
        ]
        raise Rejected(Reason.REFUSED, f"sampling: {'; '.join(wrong)}") from error
    except (VLLMValidationError, ValueError) as error:
        raise Rejected(Reason.REFUSED, f"sampling: {_one_line(error)}") from error


async def _output(engine: AsyncLLM, request: Request, tokens: list[int], sampling: SamplingParams) -> RequestOutput:
    raw = TokensPrompt(prompt_token_ids=tokens)
    if request.images:
        raw["multi_modal_data"] = {"image": list(request.images)}
    (prompt,) = await engine.renderer.render_cmpl_async([raw])
    # With FINAL_ONLY there is exactly one output.
    outputs = [output async for output in engine.generate(prompt, sampling, request.request_id)]
    return outputs[-1]


def _generation(request: Request, output: RequestOutput) -> Generation:
    """The answer, with the prefill.

    Raises:
        Rejected: the engine failed on this request alone.
        EngineDead: the request was aborted, which happens only when the engine is stopped.
    """
    (completion,) = output.outputs
    finish_reason = FinishReason(completion.finish_reason)
    if finish_reason is FinishReason.ABORT:
        raise EngineDead("the vLLM engine was stopped and aborted what was in flight")
    if finish_reason is FinishReason.ERROR:
        raise Rejected(Reason.REFUSED, "the vLLM engine failed on this request; its log has the traceback")
    return Generation(
        text=request.prefill + completion.text,
        finish_reason=finish_reason,
        prompt_tokens=len(output.prompt_token_ids or ()),
        output_tokens=len(completion.token_ids),
        confidence=confidence_of(completion),
    )


def _one_line(error: BaseException) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 500 else f"{words[:500]}…"
