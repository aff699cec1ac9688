"""PageServer: a few pages over HTTP for probes and for Prometheus, in threads that keep nobody from working."""

from __future__ import annotations

import json
import logging
import socket
import sys
import threading
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from prometheus_client import REGISTRY, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from persqa.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

#: A client gets this long for everything, and so many are served at once; probes and scrapes need a fraction of it.
_CLIENT_SECONDS = 10.0
_MOST_CLIENTS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An answer."""

    content: bytes
    kind: str
    status: HTTPStatus = HTTPStatus.OK


def facts_page(facts: Mapping[str, str], *, well: bool) -> Page:
    """What is what, for people and programs: 200 if all is well, else 503."""
    status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
    return Page(content=json.dumps(facts).encode() + b"\n", kind="application/json", status=status)


def metrics_page() -> Page:
    """All metrics of this process, as plain text whatever a client would rather have.

    In OpenMetrics the library writes vLLM's `vllm:...` as `vllm_...` for a Prometheus before version 3.
    """
    return Page(content=generate_latest(REGISTRY), kind=CONTENT_TYPE_PLAIN_0_0_4)


class PageServer(ThreadingTCPServer):
    """Serves pages by their path; whatever goes wrong here stays here."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = _MOST_CLIENTS

    def __init__(self, pages: Mapping[str, Callable[[], Page]], *, address: str, port: int, setting: str) -> None:
        """Bind the port; `start` or `serve_forever` answers.

        Args:
            pages: what makes the page of a path.
            address: where to listen; `::` and `0.0.0.0` are everywhere.
            port: which port.
            setting: what names the port, for the error.

        Raises:
            SettingsError: the port is taken, or the address is none of this machine's.
        """
        self.pages = pages
        self._room = threading.BoundedSemaphore(_MOST_CLIENTS)
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        # When each value began would be as many lines again, and Prometheus does not ask.
        disable_created_metrics()
        try:
            super().__init__((address, port), _PageHandler)
        except (OSError, OverflowError) as error:
            raise SettingsError(f"{setting}: cannot listen on {address}, port {port}: {error}") from error

    def start(self, name: str) -> None:
        """Answer in a thread of its own, which ends with the process."""
        threading.Thread(target=self.serve_forever, name=name, daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve one client in a thread, unless there are too many."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._room.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """In that thread."""
        # Each byte may be in time, and the last one still come never.
        cut_off = threading.Timer(_CLIENT_SECONDS, _cut_off, (request,))
        cut_off.daemon = True
        cut_off.name = "persqa-health-cut-off"
        cut_off.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            cut_off.cancel()
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - given by the library
        """Clients may go away; whatever else it is, is ours."""
        error = sys.exception()
        if not isinstance(error, OSError):
            logger.error("a defect of PersQA: a page cannot be served", exc_info=error)


class _PageHandler(BaseHTTPRequestHandler):
    server_version = "persqa"
    sys_version = ""
    timeout = _CLIENT_SECONDS
    server: PageServer  # pyright: ignore[reportIncompatibleVariableOverride] - it is never another one

    def do_GET(self) -> None:
        """Answer."""
        make = self.server.pages.get(urlsplit(self.path).path)
        if make is None:
            known = ", ".join(self.server.pages)
            page = Page(content=f"there are {known}\n".encode(), kind="text/plain", status=HTTPStatus.NOT_FOUND)
        else:
            page = make()
        self.send_response(page.status)
        self.send_header("Content-Type", page.kind)
        self.send_header("Content-Length", str(len(page.content)))
        self.end_headers()
        self.wfile.write(page.content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by the library
        """Nothing: probes come every few seconds."""


def _cut_off(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
