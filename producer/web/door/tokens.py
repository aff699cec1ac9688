"""Tokens: who may submit, and who may read."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from persqa.errors import SettingsError
from persqa.variables import variable

if TYPE_CHECKING:
    from typing import Self

    from persqa.settings import Settings

_SCHEME = "bearer "


class Right(Enum):
    """What a request needs."""

    NONE = "none"
    READ = "read"
    SUBMIT = "submit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The two tokens.

    Attributes:
        submit: lets its bearer submit, and read.
        read: lets its bearer read.
        made: the names of those that were made, as no setting has them; people have to be told of these.
    """

    submit: str
    read: str
    made: frozenset[str]

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The tokens of these settings; those that are not set are made.

        Raises:
            SettingsError: both are the same.
        """
        given = {
            "submit": "" if settings.submit_token is None else settings.submit_token.get_secret_value(),
            "read": "" if settings.read_token is None else settings.read_token.get_secret_value(),
        }
        if given["submit"] and given["submit"] == given["read"]:
            said = f"is the same as {variable('submit_token')}, so whoever reads could submit: choose another one"
            raise SettingsError(f"{variable('read_token')}: {said}")
        tokens = {name: token or secrets.token_urlsafe(24) for name, token in given.items()}
        return cls(**tokens, made=frozenset(name for name, token in given.items() if not token))

    def right_of(self, authorization: str) -> Right:
        """What the bearer of this header may do."""
        if authorization[: len(_SCHEME)].lower() != _SCHEME:
            return Right.NONE
        given = authorization[len(_SCHEME) :].strip()
        # Both are compared, whatever the first one gives, so that time tells nothing.
        submits, reads = _is_same(given, self.submit), _is_same(given, self.read)
        return Right.SUBMIT if submits else Right.READ if reads else Right.NONE


def _is_same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), token.encode())
