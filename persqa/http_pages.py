"""PageServer: a few pages over HTTP, for health checks and Prometheus, in threads of their own."""

from __future__ import annotations

import errno
import json
import logging
import socket
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from prometheus_client import REGISTRY, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from persqa.errors import SettingsError
from persqa.system_errors import in_words
from persqa.words import listed, shown_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

#: Time limit for one client, and most clients at once; health checks and scrapes need a fraction of both.
_CLIENT_SECONDS = 10.0
_MOST_CLIENTS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The answer to a request."""

    content: bytes
    kind: str
    status: HTTPStatus = HTTPStatus.OK


def facts_page(facts: Mapping[str, str], *, well: bool) -> Page:
    """A page with facts, as JSON: status 200 if all is well, else 503."""
    status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
    return Page(content=json.dumps(facts).encode() + b"\n", kind="application/json", status=status)


def metrics_page() -> Page:
    """All metrics of this process, always as plain text.

    In OpenMetrics the library would rename vLLM's `vllm:...` to `vllm_...` for a Prometheus before version 3.
    """
    return Page(content=generate_latest(REGISTRY), kind=CONTENT_TYPE_PLAIN_0_0_4)


class PageServer(ThreadingTCPServer):
    """Serves pages by path; no failure here reaches the rest of the process."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = _MOST_CLIENTS

    def __init__(
        self, pages: Mapping[str, Callable[[], Page]], *, address: str, port: int, setting: str, address_setting: str
    ) -> None:
        """Bind the port; `start` or `serve_forever` answers requests.

        Args:
            pages: functions that make the pages, by path.
            address: where to listen; `::` and `0.0.0.0` for all addresses.
            port: where to listen.
            setting: the name of the port's setting, for the error.
            address_setting: that of the address.

        Raises:
            SettingsError: the port is taken, or the address is not one of this machine.
        """
        self.pages = pages
        self._room = threading.BoundedSemaphore(_MOST_CLIENTS)
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        # The times of creation would double the page, and Prometheus does not need them.
        disable_created_metrics()
        try:
            super().__init__((address, port), _PageHandler)
        except (OSError, UnicodeError) as error:
            if _is_lost(error):
                wrong = f"{shown_value(address)} is no address of this machine: write an IP address, 0.0.0.0 for all"
                raise SettingsError(f"{address_setting}: {wrong}") from error
            why = in_words(error) if isinstance(error, OSError) else error
            raise SettingsError(f"{setting}: cannot listen on {address}, port {port}: {why}") from error

    def start(self, name: str) -> None:
        """Answer requests in a thread that ends with the process."""
        threading.Thread(target=self.serve_forever, name=name, daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve one client in a thread; refuse it if there are too many."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._room.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one client, for a limited time: one that sends single bytes never times out by itself."""
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
        """Log errors, except those of clients that go away."""
        error = sys.exception()
        if not isinstance(error, OSError):
            logger.error("a defect of PersQA: a page cannot be served", exc_info=error)


class _PageHandler(BaseHTTPRequestHandler):
    server_version = "persqa"
    sys_version = ""
    timeout = _CLIENT_SECONDS
    server: PageServer  # pyrefly: ignore[bad-override-mutable-attribute] - it is never another one

    def do_GET(self) -> None:
        """Send the page of the path, or a list of all paths."""
        make = self.server.pages.get(urlsplit(self.path).path)
        if make is None:
            sentence = f"no such page; choose {listed(self.server.pages)}\n"
            page = Page(content=sentence.encode(), kind="text/plain", status=HTTPStatus.NOT_FOUND)
        else:
            page = make()
        self.send_response(page.status)
        self.send_header("Content-Type", page.kind)
        self.send_header("Content-Length", str(len(page.content)))
        self.end_headers()
        self.wfile.write(page.content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by the library
        """Log nothing: health checks come every few seconds."""


def _cut_off(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _is_lost(error: Exception) -> bool:
    """Whether there is no such address, or it is another machine's."""
    if isinstance(error, UnicodeError | socket.gaierror):
        return True
    return isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL
