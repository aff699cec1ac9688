"""A web server that says byte for byte what a test wants, well-behaved or not, and S3."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from collections.abc import Callable
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.client import responses
from ipaddress import ip_address
from typing import TYPE_CHECKING, Self, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from moto.server import ThreadedMotoServer

#: Says something to one request; waits, where it wants to be slow, on the event, which is set when the server closes.
Page: TypeAlias = Callable[[Callable[[bytes], None], threading.Event], None]


def page(body: bytes = b"", status: int = 200, **headers: str) -> bytes:
    """A whole answer; an underscore in a header's name stands for a hyphen, and None leaves the header out."""
    fields = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = [f"HTTP/1.1 {status} {responses.get(status, 'What')}", *(f"{k}: {v}" for k, v in fields.items() if v)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def redirect(location: str, status: int = 302) -> bytes:
    """An answer that leads elsewhere."""
    return page(status=status, Location=location)


def drip(*, first: bytes, each: bytes) -> Page:
    """Says something, and then, for as long as anyone listens, a little more each time."""

    def say(send: Callable[[bytes], None], closing: threading.Event) -> None:
        send(first)
        while not closing.wait(0.02):
            send(each)

    return say


class WebServer:
    """Answers by path; lives as long as the `with` block."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.pages: dict[str, bytes | Page] = {}
        #: Every request's head, in order.
        self.asked: list[str] = []
        self._closing = threading.Event()
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        serve = self._serve

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):
                    serve(cast("socket.socket", self.request))

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="web-server", args=(0.02,))

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Of its root, without a slash at the end."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def paths(self) -> list[str]:
        """Every path that was asked for, in order."""
        return [head.split(" ")[1] for head in self.asked]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _serve(self, connection: socket.socket) -> None:
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True)
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                part = connection.recv(65_536)
                if not part:
                    return
                head += part
            self.asked.append(head.decode("latin-1"))
            said = self.pages.get(self.paths[-1], page(b"no such page", 404))
            if isinstance(said, bytes):
                connection.sendall(said)
            else:
                said(connection.sendall, self._closing)
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
                connection.recv(1)


def write_certificate(path: Path, name: str) -> Path:
    """A certificate of its own making for a host, with its key, in one file; trusted by whoever is given that file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    names: list[x509.GeneralName] = [x509.DNSName(name), x509.IPAddress(ip_address("192.0.2.1"))]
    certificate = (
        x509.CertificateBuilder(subject, subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(certificate.public_bytes(pem) + secret)
    return path


class S3Process:
    """An S3 server in threads of this process, which can be stopped and started with what it holds."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = int(free.getsockname()[1])
        self._server = self._new()

    @property
    def url(self) -> str:
        """For `AWS_ENDPOINT_URL`."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to use it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def start(self) -> None:
        """Start it."""
        self._server = self._new()
        self._server.start()

    def stop(self) -> None:
        """Stop it."""
        self._server.stop()

    def _new(self) -> ThreadedMotoServer:
        from moto.server import ThreadedMotoServer

        return ThreadedMotoServer("127.0.0.1", self._port, verbose=False)


@contextmanager
def s3_server() -> Generator[S3Process]:
    """An S3 server, started, with nothing in it."""
    server = S3Process()
    server.start()
    try:
        yield server
    finally:
        server.stop()
