"""VllmEngine: vLLM behind the engine protocol."""

from __future__ import annotations

import gc
import time
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

# Before vLLM, which reads the environment when it is imported.
from persqa.complaints import explained
from persqa.words import counted
from worker.engines.vllm_arguments import engine_arguments

# isort: split

from PIL.Image import Image
from vllm import AsyncEngineArgs, SamplingParams
from vllm.exceptions import VLLMValidationError
from vllm.sampling_params import RequestOutputKind
from vllm.usage.usage_lib import UsageContext
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.metrics.loggers import StatLoggerBase

from persqa.errors import EngineDead, Infrastructure, Rejected, SettingsError, shortage
from persqa.generations import FinishReason, Generation
from persqa.models import default_model
from persqa.reasons import Reason
from worker.engines.chat_prompts import ChatPrompts
from worker.engines.loading_steps import hearing_steps
from worker.engines.orphans import ending_with, kill_stamped, new_stamp, stamping
from worker.engines.vllm_inner import chat_template, close_sockets, hear_outputs, text_of
from worker.engines.vllm_logprobs import confidence_of
from worker.engines.vllm_pictures import VllmPictures
from worker.engines.vllm_sizes import resolution_of
from worker.process.condition import CONDITION

if TYPE_CHECKING:
    from vllm import RequestOutput

    from persqa.images import Resolution
    from persqa.settings import Settings
    from worker.engines.engine import Request
    from worker.pictures import Prepares

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
        self._pictures: VllmPictures | None = None
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

    @property
    def prepare(self) -> Prepares | None:
        """What makes of an image what this engine takes in its place, known after `start`; None: it takes images."""
        return None if self._pictures is None else self._pictures.prepare

    async def start(self) -> None:
        """Load the model; this blocks the loop, because vLLM builds a part of itself there.

        Raises:
            SettingsError: the model or the engine arguments cannot be used.
        """
        try:
            arguments = engine_arguments(self._settings)
            # vLLM's class for offline use takes more requests at once and longer steps than its class for servers.
            with stamping(self._stamp), hearing_steps(CONDITION.enter):
                self._engine = AsyncLLM.from_engine_args(
                    AsyncEngineArgs(**arguments),
                    usage_context=UsageContext.LLM_CLASS,
                    stat_loggers=None if arguments.get("disable_log_stats") else [self._new_queue],
                )
        except SettingsError:
            raise
        except Exception as error:
            # vLLM lets through what pydantic, transformers, the hub, torch and its engine process raise.
            lacking = "" if find_spec("torchvision") else ", which may be because torchvision is not installed"
            raise SettingsError(
                f"vLLM cannot load {self.model} with these engine arguments: {_one_line(error)} (the log has more)"
                f"{lacking}"
            ) from error
        try:
            self._prompts = ChatPrompts(self._engine.get_tokenizer(), chat_template(self._engine))
        except Rejected as error:
            raise SettingsError(f"{self.model} cannot be used: {error}") from error
        await self._take_pictures(self._engine, self._prompts)
        # An answer comes only when it is complete, which may take a healthy engine long.
        hear_outputs(self._engine, self._note_sign_of_life)
        # All that is there now stays. Python would look for garbage in it again and again: 700,000 objects, and
        # nothing else runs for 0.4 s.
        gc.freeze()

    async def generate(self, request: Request) -> Generation:
        """Answer one request, as `Engine` says; at the end of the model's context the answer ends with `length`.

        Raises:
            Rejected: this request can never be served; the engine is well.
            EngineDead: the engine is gone, for this request and all others.
            Infrastructure: this machine is short of something.
        """
        engine, prompts, pictures = self._engine, self._prompts, self._pictures
        if engine is None or prompts is None or pictures is None:
            raise EngineDead("the engine is not running")
        sampling = _sampling(request)
        tokens = prompts.tokens(request)
        if len(tokens) >= (limit := engine.model_config.max_model_len):
            # Too long even without its images, which need not be processed then.
            size = f"{counted(len(tokens), 'token')}, and the model's context {limit}"
            raise Rejected(Reason.TOO_LONG, f"the prompt has {size} (max_model_len in PERSQA_ENGINE_ARGS)")
        try:
            prompt = await pictures.input(tokens, request.images)
            # With FINAL_ONLY there is exactly one output.
            outputs = [output async for output in engine.generate(prompt, sampling, request.request_id)]
        except EngineDeadError as error:
            raise EngineDead("the process of the vLLM engine has ended") from error
        except Exception as error:
            # The model's own image processor may raise anything, too.
            raise self._failure(error, request) from error
        return _generation(request, outputs[-1], sampling, engine.get_tokenizer())

    def kill(self) -> None:
        """Kill the engine's processes; requests in flight then fail with `EngineDead`."""
        kill_stamped(self._stamp)

    async def stop(self) -> None:
        """Free everything; safe to call twice or before `start`."""
        engine, self._engine, self._prompts, self._pictures = self._engine, None, None, None
        if engine is None:
            return
        # Nobody waits for its answers any more; its processes would tidy up for seconds what the system frees at once.
        with ending_with(self._stamp):
            engine.shutdown(timeout=0)
        close_sockets(engine)
        # Much of what it leaves refers to itself.
        gc.unfreeze()

    def _new_queue(self, _config: object, _index: int) -> _Queue:
        self._queues.append(_Queue())
        return self._queues[-1]

    async def _take_pictures(self, engine: AsyncLLM, prompts: ChatPrompts) -> None:
        images = engine.renderer.mm_processor
        self.resolution = None if images is None else resolution_of(images.info)  # pyrefly: ignore[unknown-argument-type, unknown-attribute-access]
        self._pictures = VllmPictures(engine)
        await self._pictures.start(self.resolution, prompts)
        if self._pictures.prepare is not None and self.resolution is not None:
            # The picture is scaled together with all else.
            self.resolution = replace(self.resolution, scaled=False)

    def _note_sign_of_life(self) -> None:
        self.heard_at = time.monotonic()

    def _failure(self, error: Exception, request: Request) -> Rejected | Infrastructure:
        if self._engine is None or self._engine.errored:
            return EngineDead("the vLLM engine stopped while it was answering")
        if (lacking := shortage(error)) is not None:
            return lacking
        # vLLM's EngineGenerateError has only a cause, and no text of its own.
        why = error.__cause__ or error
        # In vLLM 0.24 it is a plain ValueError.
        is_validation = isinstance(why, VLLMValidationError | ValueError)
        if is_validation and any(f"maximum {what} length" in str(why) for what in ("model", "context")):
            return Rejected(Reason.TOO_LONG, _one_line(why))
        # It may be about the shape of one of them, of which not every model's image processor says enough.
        images = [picture.pixels for picture in request.images if isinstance(picture.pixels, Image)]
        sizes = ", ".join(f"{image.width} x {image.height}" for image in images)
        about = f" about {'a picture' if len(images) == 1 else 'pictures'} of {sizes} pixels" if images else ""
        return Rejected(Reason.REFUSED, f"vLLM refused the request{about}: {_one_line(why)}")


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


def _sampling(request: Request) -> SamplingParams:
    if unknown := sorted(request.sampling.keys() - _SAMPLING_NAMES):
        raise Rejected(Reason.REFUSED, f"sampling: {', '.join(unknown)} cannot be set")
    # Nobody else has them, so vLLM need not make a copy of every part.
    own = {
        "seed": request.seed,
        "n": 1,
        "output_kind": RequestOutputKind.FINAL_ONLY,
        "flat_logprobs": True,
        "skip_clone": True,
    }
    try:
        # Checked here, because the engine process would die of a value that it cannot decode.
        sampling = _SAMPLING.validate_python({**request.sampling, **own})
    except ValidationError as error:
        wrong = [
            f"{name}: {explained(part)}" for part in error.errors() for name in part["loc"] if name in request.sampling
        ]
        raise Rejected(Reason.REFUSED, f"sampling: {'; '.join(wrong)}") from error
    except (VLLMValidationError, ValueError) as error:
        raise Rejected(Reason.REFUSED, f"sampling: {_one_line(error)}") from error
    # Where nothing looks for words in it meanwhile, the text is made when the answer is whole.
    sampling.detokenize = bool(sampling.stop) or sampling.logprobs is not None
    return sampling


def _generation(request: Request, output: RequestOutput, sampling: SamplingParams, tokenizer: Any) -> Generation:
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
        text=request.prefill + (completion.text if sampling.detokenize else text_of(tokenizer, output, sampling)),
        finish_reason=finish_reason,
        prompt_tokens=len(output.prompt_token_ids or ()),
        output_tokens=len(completion.token_ids),
        confidence=confidence_of(completion),
    )


def _one_line(error: BaseException) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 500 else f"{words[:500]}…"
