"""LLMServingABC and PersQAServing: every way in which an operator may call a serving."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, TypedDict

from pydantic import ValidationError

from persqa.errors import SettingsError
from persqa.policies import Policy
from persqa.runs import RunOptions, Sampling, parse_options
from producer.dataflow.asks import Answer, Ask, answer_all, labelled_prompt, prompt_of, verbatim_asks
from producer.dataflow.original import register

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic import JsonValue

    from persqa.settings import Settings


class VllmParameters(TypedDict, total=False):
    """The original's parameters that are sampling options of a run, by name."""

    vllm_temperature: float
    vllm_top_p: float
    vllm_max_tokens: int
    vllm_top_k: int
    vllm_repetition_penalty: float
    vllm_seed: int


_DEFAULTS: VllmParameters = {
    "vllm_temperature": 0.7,
    "vllm_top_p": 0.9,
    "vllm_max_tokens": 1024,
    "vllm_repetition_penalty": 1.0,
}


class LLMServingABC(ABC):
    """Answers the prompts of operators."""

    @abstractmethod
    def generate_from_input(self, user_inputs: list[str], system_prompt: str) -> list[str | None]:
        """One answer for each prompt."""

    @abstractmethod
    def cleanup(self) -> None:
        """Free what it holds; the next question takes it again."""

    def start_serving(self) -> None:  # noqa: B027 - optional
        """Make ready to answer; optional."""

    def load_model(self, model_name_or_path: str, **options: object) -> None:
        """Load a model; optional."""
        raise NotImplementedError(f"{type(self).__name__} does not load a model by name")


class PersQAServing(LLMServingABC):
    """A serving of ours: it takes whole records, and returns the outcome of each."""

    def __init__(self, *, sampling: Sampling, seed: int, settings: Settings) -> None:
        """Keep the options; the seed also decides the questions, unless the operator has its own."""
        self.sampling = sampling
        self.seed = seed
        self.settings = settings
        register(LLMServingABC, ["LLMServingABC", "VLMServingABC"])

    @abstractmethod
    def answer_records(self, asks: Sequence[Ask], options: RunOptions) -> Iterable[Answer]:
        """One answer for each ask, in order.

        Args:
            asks: asks without an error.
            options: tag policy, seed and system prompt; model and sampling are those of the serving.

        Raises:
            Infrastructure: the engine, the broker or the database is gone; the same call again goes on.
        """

    def generate_from_input(
        self,
        user_inputs: Sequence[str],
        system_prompt: str = "You are a helpful assistant",
        image_inputs: Sequence[Sequence[str] | str | None] | None = None,
        video_inputs: Sequence[object] | None = None,
        audio_inputs: Sequence[object] | None = None,
    ) -> list[str | None]:
        """One answer for each prompt; its images come before its text.

        A prompt without an answer, because of a broken image for instance, gives None; the log says why.

        Raises:
            ValueError: videos or sounds are given, or not as many lists of images as prompts.
        """
        _refuse_media(video_inputs, audio_inputs)
        return self._answer_prompts(list(user_inputs), image_inputs, system_prompt)

    def generate_from_input_messages(
        self,
        conversations: Sequence[Sequence[Mapping[str, JsonValue]]],
        image_list: Sequence[Sequence[str] | str | None] | None = None,
        video_list: Sequence[object] | None = None,
        audio_list: Sequence[object] | None = None,
        system_prompt: str = "You are a helpful assistant.",
    ) -> list[str | None]:
        """One answer for each conversation, of one human turn each; otherwise as `generate_from_input`.

        Raises:
            ValueError: a conversation has more than one human turn, or videos or sounds are given.
        """
        _refuse_media(video_list, audio_list)
        prompts: list[str] = []
        for number, conversation in enumerate(conversations, 1):
            try:
                prompts.append(prompt_of(conversation))
            except ValueError as error:
                raise ValueError(f"conversation {number}: {error}") from None
        return self._answer_prompts(prompts, image_list, system_prompt)

    def generate_from_input_one_image(
        self, image_paths: Sequence[str], text_prompts: Sequence[str], system_prompt: str = "", **_model: object
    ) -> list[str | None]:
        """One answer for each prompt about its one image; otherwise as `generate_from_input`."""
        return self._answer_prompts(text_prompts, image_paths, system_prompt)

    def generate_from_input_multi_images(
        self,
        list_of_image_paths: Sequence[Sequence[str]],
        list_of_image_labels: Sequence[Sequence[str]],
        user_prompts: Sequence[str] | None = None,
        system_prompt: str = "",
        **_model: object,
    ) -> list[str | None]:
        """One answer for each prompt about its images, which have labels.

        Raises:
            ValueError: there are not as many prompts or lists of labels as lists of images.
        """
        prompts = user_prompts or [""] * len(list_of_image_paths)
        labelled = [labelled_prompt(*pair) for pair in zip(prompts, list_of_image_labels, strict=True)]
        return self._answer_prompts(labelled, list_of_image_paths, system_prompt)

    def _answer_prompts(
        self, prompts: Sequence[str], images: Sequence[Sequence[str] | str | None] | None, system_prompt: str
    ) -> list[str | None]:
        if images is not None and len(images) != len(prompts):
            raise ValueError(f"{len(prompts)} prompts, but {len(images)} lists of images")
        asks = verbatim_asks(prompts, [_references(cell) for cell in images or [None] * len(prompts)])
        options = parse_options(
            verbatim=True,
            image_optional=True,
            tag_policy=Policy.CHECK,
            seed=self.seed,
            repeatable=True,
            system_prompt=system_prompt,
        )
        return [answer.text for answer in answer_all(asks, partial(self.answer_records, options=options))]


def _references(cell: Sequence[str] | str | None) -> tuple[str, ...]:
    if cell is None:
        return ()
    return (cell,) if isinstance(cell, str) else tuple(reference for reference in cell if reference)


def _refuse_media(*media: Sequence[object] | None) -> None:
    if any(cell for cells in media for cell in cells or ()):
        raise ValueError("videos and sounds are not supported, only images")


def vllm_sampling(given: VllmParameters) -> Sampling:
    """The original's sampling parameters as those of a run, with the original's defaults.

    Raises:
        SettingsError: a parameter is wrong; the message has a line for each.
    """
    # -1 is vLLM's older word for no limit.
    values = {**_DEFAULTS, **given, "vllm_top_k": max(given.get("vllm_top_k", 40), 0)}
    try:
        return Sampling.model_validate({name.removeprefix("vllm_"): value for name, value in values.items()})
    except ValidationError as error:
        lines = [f"vllm_{part['loc'][0]}: {part['msg']}" for part in error.errors()]
        raise SettingsError("wrong sampling parameters\n  " + "\n  ".join(lines)) from None
