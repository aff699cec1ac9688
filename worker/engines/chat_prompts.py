"""ChatPrompts: turns a request into the tokens of one model's chat, without letting user text become special."""

from __future__ import annotations

import copy
import hashlib
from collections import Counter, OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from persqa.errors import Rejected
from persqa.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.engines.engine import Request

#: Stands for the user's text while a template is rendered. No template alters it, and it is no token.
_BLANK = "PERSQAxUSERxTEXT"
#: Texts of which it is remembered whether they contain a reserved token.
_REMEMBERED = 4096
#: Whole prompts of which the tokens are remembered, because a run asks the same questions of many pictures, and the
#: longest of them, in characters.
_REMEMBERED_PROMPTS = 1024
_LONGEST_REMEMBERED = 2048
#: The system prompt that a template is tried with.
_PROBE = "PERSQAxSYSTEMxTEXT"


@dataclass(frozen=True, slots=True)
class _Frame:
    """A rendered prompt: the text before and after the user's, and how often each reserved token occurs in both."""

    before: str
    after: str
    reserved: Counter[int]


class ChatPrompts:
    """Writes prompts for one model.

    The user's text is put into the rendered template and reaches the model byte for byte. Some templates would strip
    it if they rendered it.
    """

    def __init__(self, tokenizer: Any, template: str) -> None:
        """Prepare.

        Args:
            tokenizer: a Hugging Face tokenizer; it is copied, as threads must not share it.
            template: the model's chat template.

        Raises:
            Rejected: the template cannot place an image or a system prompt.
        """
        self._tokenizer = copy.deepcopy(tokenizer)
        self._template = template
        self._reserved = self._reserved_tokens()
        # Each holds a system prompt, which may have a quarter of a megabyte.
        self._frame = lru_cache(maxsize=32)(self._new_frame)
        self._remembered = lru_cache(maxsize=_REMEMBERED_PROMPTS)(self._new_tokens)
        #: The reserved token in a text, if any, by the text's digest: the texts themselves would take a gigabyte.
        self._intruders: OrderedDict[bytes, str | None] = OrderedDict()
        self._frame(_PROBE, 1)

    def text(self, request: Request) -> str:
        """The whole prompt, with the beginning of the answer."""
        frame = self._frame(request.system, len(request.images))
        return f"{frame.before}{request.user}{frame.after}{request.prefill}"

    def tokens(self, request: Request) -> list[int]:
        """The prompt as vLLM gets it, one placeholder per image.

        Raises:
            Rejected: the user's text or the prefill contains a reserved token, or the template cannot be rendered.
        """
        text = self.text(request)
        tokens = self._remembered if len(text) <= _LONGEST_REMEMBERED else self._new_tokens
        return list(tokens(text, request.system, request.user, request.prefill, len(request.images)))

    def _new_tokens(self, whole: str, system: str, user: str, prefill: str, images: int) -> list[int]:
        for name, text in (("text", user), ("prefill", prefill)):
            if intruder := self._intruder(text):
                raise Rejected(Reason.SPECIAL_TOKEN, f"the {name} contains {intruder!r}, a token reserved by the model")
        tokens = self._encode(whole)
        # Text that is harmless alone could still form a token with the text beside it.
        if self._count(tokens) != self._frame(system, images).reserved:
            raise Rejected(Reason.SPECIAL_TOKEN, "the text forms a token reserved by the model with its surroundings")
        return tokens

    def about_one_picture(self) -> list[int]:
        """The tokens of a prompt without a question."""
        frame = self._frame("", 1)
        return self._encode(frame.before + frame.after)

    def _reserved_tokens(self) -> dict[int, str]:
        """The tokens with a meaning in prompts; a token that only widens the vocabulary has none."""
        sample = set(self._encode(self._render("", 1)))
        special = set(self._tokenizer.all_special_ids)
        return {
            token: added.content
            for token, added in self._tokenizer.added_tokens_decoder.items()
            # Some tokenizers add runs of spaces and line breaks as tokens, which any text contains.
            if added.special
            or token in special
            or (added.content.strip() and (added.content in self._template or token in sample))
        }

    def _new_frame(self, system: str, images: int) -> _Frame:
        before, blank, after = self._render(system, images).partition(_BLANK)
        if not blank or _BLANK in after or system.strip() not in before:
            raise Rejected(Reason.REFUSED, "its chat template leaves out the system prompt or the user's text")
        reserved = self._count(self._encode(before + after))
        if images:
            self._check_placeholders(system, images, reserved)
        return _Frame(before, after, reserved)

    def _check_placeholders(self, system: str, images: int, reserved: Counter[int]) -> None:
        without = self._frame(system, 0).reserved
        one = self._frame(system, 1).reserved if images > 1 else reserved
        placeholder = one - without
        expected = Counter({token: count * images for token, count in placeholder.items()}) + without
        if not placeholder or reserved != expected:
            raise Rejected(Reason.REFUSED, "its chat template does not place one placeholder per image")

    def _render(self, system: str, images: int) -> str:
        """Render around the blank, with the system prompt in the form that the template takes; empty on failure."""
        turn: dict[str, object] = {
            "role": "user",
            "content": [*[{"type": "image"}] * images, {"type": "text", "text": _BLANK}],
        }
        if not system:
            return self._apply([turn])
        rendered = self._apply([{"role": "system", "content": system}, turn])
        if system.strip() in rendered:
            return rendered
        return self._apply([{"role": "system", "content": [{"type": "text", "text": system}]}, turn])

    def _apply(self, turns: Sequence[dict[str, object]]) -> str:
        try:
            return self._tokenizer.apply_chat_template(
                turns, chat_template=self._template, tokenize=False, add_generation_prompt=True
            )
        except (TemplateError, TypeError):
            return ""

    def _intruder(self, text: str) -> str | None:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        if digest in self._intruders:
            self._intruders.move_to_end(digest)
            return self._intruders[digest]
        found = next((self._reserved[token] for token in self._encode(text) if token in self._reserved), None)
        self._intruders[digest] = found
        if len(self._intruders) > _REMEMBERED:
            self._intruders.popitem(last=False)
        return found

    def _encode(self, text: str) -> list[int]:
        # A chat template writes the special tokens itself.
        return self._tokenizer.encode(text, add_special_tokens=False)

    def _count(self, tokens: Sequence[int]) -> Counter[int]:
        return Counter(token for token in tokens if token in self._reserved)
