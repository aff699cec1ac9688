"""Programs that ask the HTTP interface."""

from __future__ import annotations

import http.client
import json
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from persqa.settings import load_settings
from producer import Client
from producer.web.door import Tokens
from producer.web.server import Server

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from typing import Self

    from persqa.settings import Settings

SUBMIT, READ = "may-submit-and-read", "may-only-read"


@dataclass(frozen=True, slots=True)
class Told:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """That of an error."""
        return self.json["error"]["code"] if self.status >= 400 else None

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The lines that say something."""
        return [json.loads(line) for line in self.body.splitlines() if line]


@dataclass(frozen=True, slots=True)
class Program:
    """Whoever asks with a token, at the root of the interface."""

    root: str
    token: str = SUBMIT

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        kind: str = "application/json",
        **headers: str,
    ) -> Told:
        """Ask once; a body that is neither bytes nor a stream is sent as JSON."""
        parts = urlsplit(self.root)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            given.setdefault("authorization", f"Bearer {self.token}")
        if body is not None:
            given["content-type"] = kind
        sent = body if body is None or isinstance(body, bytes) or hasattr(body, "__next__") else json.dumps(body)
        with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)) as connection:
            connection.request(method, parts.path + path, sent, given)  # pyrefly: ignore[bad-argument-type]
            answer = connection.getresponse()
            return Told(answer.status, dict(answer.headers), answer.read())

    def add(self, run: str, body: object, query: str = "", **more: str) -> Told:
        return self.ask("POST", f"/runs/{run}/records{query}", body, **more)

    def add_lines(self, run: str, lines: bytes | Iterator[bytes], **more: str) -> Told:
        return self.add(run, lines, kind="application/x-ndjson", **more)

    def results(self, run: str, query: str = "") -> Told:
        return self.ask("GET", f"/runs/{run}/results{query}")

    def reader(self) -> Self:
        """The same with the token to read."""
        return type(self)(self.root, READ)


def with_tokens(settings: Settings, **more: object) -> Settings:
    """The settings, with both tokens."""
    return load_settings(
        **{**settings.model_dump(exclude_unset=True), "submit_token": SUBMIT, "read_token": READ, **more}
    )


@contextmanager
def served(settings: Settings) -> Generator[tuple[Client, Program]]:
    """A server in this process, with these settings, and a program that may submit."""
    with (
        Client(settings, local_worker=False) as client,
        Server(client, port=None, tokens=Tokens.of(settings)) as server,
    ):
        yield client, Program(server.for_programs)


def form(fields: Mapping[str, bytes | tuple[str, bytes]]) -> tuple[bytes, str]:
    """A form with these fields, files with their names; returns it and its content type."""
    parts = list[bytes]()
    for name, content in fields.items():
        file, data = content if isinstance(content, tuple) else (None, content)
        said = f'name="{name}"' + ("" if file is None else f'; filename="{file}"')
        parts.append(b"--B0undary\r\nContent-Disposition: form-data; " + said.encode() + b"\r\n\r\n" + data + b"\r\n")
    return b"".join(parts) + b"--B0undary--\r\n", "multipart/form-data; boundary=B0undary"
