"""PersQAGenerator, the operator, and PersQAGeneratorPrompt, the parts its prompts are made of."""

from __future__ import annotations

import json
import logging
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from persqa.blob_locks import Filling
from persqa.conversations import rewrite_conversation
from persqa.errors import UserError
from persqa.policies import Policy
from persqa.prompts import SYSTEM_PROMPT, human_turn
from persqa.questions import TAG_FIELD, load_pool
from persqa.runs import parse_options
from persqa.tags import Tag
from persqa.words import counted
from producer.dataflow.asks import Answer, Ask, answer_all, draw_asks
from producer.dataflow.cells import json_cell
from producer.dataflow.original import register
from producer.dataflow.servings import PersQAServing
from producer.dataflow.tables import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pydantic import JsonValue

    from producer.dataflow.servings import LLMServingABC

logger = logging.getLogger(__name__)

#: Images in a record, at most, where the serving sets no limit.
_MOST_IMAGES = 64
#: Stands for the main character's name in DataFlow's question templates.
_SKS = "<sks>"
#: The original's serving that takes turns with `role` and `content`, and no placeholders for images.
_API = "APIVLMServing_openai"


class PersQAGeneratorPrompt:
    """Templates of the question and of the turn it is asked in."""

    def __init__(self) -> None:
        """Load the questions."""
        self.qa_template = {"obj_qs": _questions("object"), "human_qs": _questions("human")}

    def build_prompt(self) -> tuple[str, dict[str, list[str]], str]:
        """The human turn with `{sks}` and `{query}` to fill in, the questions with `<sks>`, and the system prompt."""
        return human_turn(Tag("<{sks}>"), "{query}"), self.qa_template, SYSTEM_PROMPT


class PersQAGenerator:
    """Asks one question about the main character of each record's images.

    Any serving will do. Ours take whole records, apply the tag policy and return the outcome of each record. Others
    get the prompts, as from the original operator.
    """

    def __init__(
        self,
        llm_serving: LLMServingABC,
        *,
        seed: int | None = None,
        tag: str = "mam",
        pool: str = "human",
        tag_policy: str = Policy.CHECK,
    ) -> None:
        """Prepare.

        Args:
            llm_serving: what answers.
            seed: decides which question each record gets; by default the serving's `vllm_seed`.
            tag: the main character's name; a record's own field `tag` takes precedence.
            pool: `human`, `object`, or a file of questions.
            tag_policy: what a serving of ours does about an answer without the tag at its start: `check` takes the
                first answer as it is, as the original does; `repair` and `prefill` make answers begin with it.

        Raises:
            SettingsError: an option is wrong.
        """
        self.serving = llm_serving
        self.prompt_template, self.qa_template, self.system_prompt = PersQAGeneratorPrompt().build_prompt()
        self._options = parse_options(
            seed=getattr(llm_serving, "seed", 0) if seed is None else seed,
            # As the original is.
            repeatable=True,
            tag=tag,
            pool=pool,
            tag_policy=tag_policy,
            system_prompt=self.system_prompt,
            image_optional=True,
        )
        self._pool = load_pool(pool)
        register(PersQAGenerator, ["OperatorABC"])

    @staticmethod
    def get_desc(lang: str = "en") -> str:  # noqa: ARG004 - the original's parameter; there is one language here
        """A description, for lists of operators."""
        return (
            "Asks a vision-language model one question about the main character of each image, by a tag such as <mam>. "
            "input_modal_key: the column of images, a path or a list of paths (default: image). "
            "output_key: the column that gets the answer (default: output); beside it <output_key>_question and "
            "<output_key>_reason, why there is no answer or how it breaks the tag rule."
        )

    def run(self, storage: Any, input_modal_key: str = "image", output_key: str = "output") -> list[str]:
        """Read the records, ask, and write them back with the prompt in their conversation and the answer.

        A record that cannot be used, or whose image cannot, gets a reason instead of an answer. A serving of ours
        keeps each answer as it comes: after a crash the same call goes on with the rest.

        Args:
            storage: has the records, and takes the results.
            input_modal_key: the column of images: a reference, bytes, or several of these; empty for text only.
            output_key: the column that gets the answers.

        Returns:
            The name of the output column, in a list.

        Raises:
            ValueError: there is no output key.
            UserError: the serving cannot answer such records.
            Infrastructure: the engine, the broker, the database or the blob store is gone; the same call again goes on.
        """
        if not output_key:
            raise ValueError("output_key must not be empty: it names the column of the answers")
        table = Table(storage)
        if isinstance(self.serving, PersQAServing):
            # Until all are answered, and so in the ledger, nobody deletes the images that are put there.
            with closing(Filling(self.serving.settings.blob_store)) as blobs:
                most = self.serving.settings.max_images
                asks = self._asks(table, input_modal_key, keep=blobs.put, max_images=most)
                answers = answer_all(asks, partial(self.serving.answer_records, options=self._options))
        else:
            asks = self._asks(table, input_modal_key, keep=None, max_images=_MOST_IMAGES)
            answers = answer_all(asks, partial(_ask_foreign, self.serving, self.system_prompt))
        written = storage.write(table.with_columns(_columns(table, asks, answers, output_key)))
        number = sum(answer.text is not None for answer in answers)
        # A warning, for Python shows nothing less by default, and the original says its last word, too.
        logger.warning("%s in %s", counted(number, "answer"), written)
        return [output_key]

    def _asks(self, table: Table, image_key: str, *, keep: Callable[[bytes], str] | None, max_images: int) -> list[Ask]:
        records = table.records(image_key=image_key, keep=keep)
        return draw_asks(records, self._options, self._pool, max_images=max_images)


def _columns(table: Table, asks: Sequence[Ask], answers: Sequence[Answer], output_key: str) -> dict[str, list[object]]:
    return {
        "conversation": [
            _conversation(cell, ask) for cell, ask in zip(table.column("conversation"), asks, strict=True)
        ],
        output_key: [answer.text for answer in answers],
        f"{output_key}_question": [ask.question or None for ask in asks],
        f"{output_key}_reason": [answer.reason for answer in answers],
    }


def _conversation(cell: object, ask: Ask) -> object:
    """The conversation with the prompt in it; as JSON text where the cell was JSON text."""
    if ask.error is not None:
        return cell
    turns = cast("list[JsonValue] | None", json_cell(cell))
    rewritten = rewrite_conversation(turns, ask.prompt)
    return json.dumps(rewritten) if isinstance(cell, str) and cell else rewritten


def _questions(pool: str) -> list[str]:
    return [question.template.replace(TAG_FIELD, _SKS) for question in load_pool(pool).questions]


def _ask_foreign(serving: Any, system_prompt: str, asks: Sequence[Ask]) -> list[Answer]:
    """Ask a serving of another package as the original operator asks it.

    Raises:
        UserError: the serving takes no images, or gives not one answer for each prompt.
    """
    texts = _generate(serving, asks, system_prompt)
    if len(texts) != len(asks):
        raise UserError(
            f"{type(serving).__name__} gave {counted(len(texts), 'answer')} to {counted(len(asks), 'prompt')}"
        )
    return [Answer(text=text, reason=None if text else "no_answer") for text in texts]


def _generate(serving: Any, asks: Sequence[Ask], system_prompt: str) -> Sequence[str | None]:
    pictured = any(ask.images for ask in asks)
    if hasattr(serving, "generate_from_input_messages"):
        return serving.generate_from_input_messages(
            conversations=[_turns(serving, ask) for ask in asks],
            image_list=[list(ask.images) for ask in asks] if pictured else None,
            system_prompt=system_prompt,
        )
    if pictured:
        raise UserError(f"{type(serving).__name__} takes no images: it has no generate_from_input_messages")
    return serving.generate_from_input([ask.prompt for ask in asks], system_prompt)


def _turns(serving: object, ask: Ask) -> list[dict[str, str]]:
    if any(base.__name__ == _API for base in type(serving).__mro__):
        return [{"role": "user", "content": ask.prompt}]
    return [{"from": "human", "value": "<image>" * len(ask.images) + ask.prompt}]
