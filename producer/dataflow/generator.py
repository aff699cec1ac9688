"""PersQAGenerator: the operator."""

from __future__ import annotations

import json
import logging
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

from persqa.blobs import BlobStore
from persqa.policies import Policy
from persqa.prompts import rewrite_conversation
from persqa.questions import load_pool
from persqa.runs import parse_options
from producer.dataflow.asks import Answer, Ask, draw_asks
from producer.dataflow.cells import json_cell
from producer.dataflow.foreign_servings import ask_foreign
from producer.dataflow.journal import Journal
from producer.dataflow.original import register
from producer.dataflow.prompt import PersQAGeneratorPrompt
from producer.dataflow.servings import PersQAServing, answer_all, tell
from producer.dataflow.storages import FileStorage
from producer.dataflow.tables import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import JsonValue

    from producer.dataflow.servings import LLMServingABC

logger = logging.getLogger(__name__)

#: Images a record may have where the serving does not say.
_MOST_IMAGES = 64


class PersQAGenerator:
    """Asks one question about the main character of each record's images.

    Any serving will do. Ours are given whole records: they apply the tag policy, and say of each record what became
    of it. Others get the prompts, as the original operator hands them over.
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
            tag: the main character's name; a record's own field `tag` goes before.
            pool: `human`, `object`, or a file of questions.
            tag_policy: what a serving of ours does about an answer that does not begin with the tag: `check` takes
                the first answer as it is, as the original does; `repair` and `prefill` see to it.

        Raises:
            SettingsError: an option is wrong.
        """
        self.serving = llm_serving
        self.prompt_template, self.qa_template, self.system_prompt = PersQAGeneratorPrompt().build_prompt()
        self._options = parse_options(
            seed=getattr(llm_serving, "seed", 0) if seed is None else seed,
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
        """What it does, for lists of operators."""
        return (
            "Asks a vision-language model one question about the main character of each image, by a tag such as <mam>. "
            "input_modal_key: the column of images, a path or a list of paths (default: image). "
            "output_key: the column that gets the answer (default: output); beside it <output_key>_question and "
            "<output_key>_reason, why there is no answer or how it breaks the tag rule."
        )

    def run(self, storage: Any, input_modal_key: str = "image", output_key: str = "output") -> list[str]:
        """Read the records, ask, and write them back with the prompt in their conversation and the answer.

        A record that cannot be used, or whose image cannot, has no answer and a reason; all others have theirs. With a
        `FileStorage` of ours, answers are written down as they come: after a crash the same call goes on with the rest.

        Args:
            storage: where the records are and where they go.
            input_modal_key: the column of images: a reference, bytes, or several of these; empty for text only.
            output_key: the column that gets the answers.

        Returns:
            The name of the output column, in a list.

        Raises:
            ValueError: there is no output key.
            UserError: the serving cannot be asked this.
            Infrastructure: the engine, the broker, the database or the blob store is gone; the same call again goes on.
        """
        if not output_key:
            raise ValueError("output_key must not be empty: it names the column of the answers")
        table = Table(storage)
        asks = self._asks(table, input_modal_key)
        with closing(self._journal(storage)) as journal:
            answers = self._answers(asks, journal)
            tell(answers)
            written = storage.write(table.with_columns(_columns(table, asks, answers, output_key)))
            journal.drop()
        logger.info("%d records written to %s", len(asks), written)
        return [output_key]

    def _asks(self, table: Table, image_key: str) -> list[Ask]:
        keep, most = None, _MOST_IMAGES
        if isinstance(self.serving, PersQAServing):
            keep = BlobStore(self.serving.settings.blob_store).put
            most = self.serving.settings.max_images
        records = table.records(image_key=image_key, keep=keep)
        return draw_asks(records, self._options, self._pool, max_images=most)

    def _journal(self, storage: object) -> Journal:
        keeps = isinstance(self.serving, PersQAServing) and self.serving.keeps_answers
        if not isinstance(storage, FileStorage) or keeps:
            return Journal(None, identity="")
        serving = self.serving.identity if isinstance(self.serving, PersQAServing) else type(self.serving).__name__
        return Journal(storage.journal_path, identity=f"{serving} {self._options.model_dump_json()}")

    def _answers(self, asks: Sequence[Ask], journal: Journal) -> list[Answer]:
        found = journal.known(asks)
        journal.begin(asks, found)
        rest = [ask for ask in asks if ask.position not in found]
        if isinstance(self.serving, PersQAServing):
            coming = answer_all(self.serving, rest, self._options)
        else:
            coming = ask_foreign(self.serving, rest, self.system_prompt)
        for position, answer in coming:
            found[position] = answer
            journal.add(asks[position], answer)
        return [found[ask.position] for ask in asks]


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
    """The conversation with the prompt in it; as JSON text where it came so."""
    if ask.error is not None:
        return cell
    turns = cast("list[JsonValue] | None", json_cell(cell))
    rewritten = rewrite_conversation(turns, ask.prompt)
    return json.dumps(rewritten) if isinstance(cell, str) and cell else rewritten
