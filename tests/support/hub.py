"""A hub of data sets on this machine: as much of the Hugging Face hub's interface as reading a data set takes."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import JsonValue

#: What the server says the newest state of every data set is.
COMMIT = "0123456789" * 4


class _Hub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: ClassVar[Path]
    asked: ClassVar[list[str]]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        del format, args

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = urlsplit(self.path).path.strip("/").split("/")
        self.asked.append("/".join(path))
        match path:
            case ["api", "datasets", "org", name] | ["api", "datasets", "org", name, "revision", _]:
                self._about(name)
            case ["api", "datasets", "org", name, "tree", _, *inside]:
                self._files(name, "/".join(inside))
            case ["datasets", "org", name, "resolve", _, *inside]:
                self._file(self.folder / name / "/".join(inside))
            case _:
                self._reply(404, b"{}")

    def _about(self, name: str) -> None:
        files: list[JsonValue] = [{"rfilename": path} for path in self._paths(name)]
        known: dict[str, JsonValue] = {"id": f"org/{name}", "sha": COMMIT, "siblings": files, "tags": []}
        if files:
            self._reply(200, json.dumps(known).encode())
        else:
            self._reply(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def _files(self, name: str, inside: str) -> None:
        there: list[JsonValue] = [
            {"type": "file", "path": path, "size": (self.folder / name / path).stat().st_size, "oid": "0" * 40}
            for path in self._paths(name)
            if path.rpartition("/")[0] == inside
        ]
        self._reply(200, json.dumps(there).encode())

    def _file(self, path: Path) -> None:
        if not path.is_file():
            self._reply(404, b"{}", {"X-Error-Code": "EntryNotFound"})
            return
        size = path.stat().st_size
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        end = min(int(last or size), size - 1) + 1
        with path.open("rb") as file:
            file.seek(int(first))
            content = file.read(end - int(first))
        shown = {"Content-Range": f"bytes {first}-{end - 1}/{size}"} if "Range" in self.headers else {}
        self._reply(206 if shown else 200, content, {"ETag": '"0"', "X-Repo-Commit": COMMIT, **shown})

    def _paths(self, name: str) -> list[str]:
        folder = self.folder / name
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

    def _reply(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextmanager
def local_hub(folder: Path) -> Generator[tuple[str, list[str]]]:
    """Serve each folder in this one as the data set `org/<its name>`; gives the URL, and the paths asked for so far."""
    asked: list[str] = []
    handler = type("Hub", (_Hub,), {"folder": folder, "asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="test-hub", daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()
