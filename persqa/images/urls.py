"""WebAddress: a parsed http URL. It is parsed once, so the checked parts are those that are requested."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from persqa.errors import Rejected
from persqa.hosts import is_listed, normal_host
from persqa.images.naming import shown_reference
from persqa.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Collection

_LONGEST_URL = 8192
#: What browsers take off both ends of a URL, and what they leave out of it wherever it is.
_AROUND = "".join(map(chr, range(0x21)))
_WITHIN = str.maketrans("", "", "\t\n\r")
#: Parsers disagree about these characters.
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")
_PORTS = {"http": 80, "https": 443}
#: Characters of a path or query that stay unquoted; `%` among them, since it is part of earlier quoting.
_AS_IT_IS = "%/:=&?~+!$,;'@()*[]|"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebAddress:
    """The target of one request.

    Attributes:
        host: in lower case and ASCII; an IPv6 address without brackets.
        target: path and query, quoted.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Host and port, for the `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def redirected(self, location: str) -> WebAddress:
        """The address of a redirect; `location` is the header as it was read, each byte a character.

        Raises:
            Rejected: it is no http URL, or leads from https to http.
        """
        try:
            here = f"{self.scheme}://{self.authority}{self.target}"
            target = parse_url(urljoin(here, normal_url(_text_of(location))))
        except ValueError:
            raise Rejected(Reason.BAD_URL, "redirected to a malformed URL") from None
        except Rejected as rejected:
            raise Rejected(rejected.reason, f"redirected to {shown_reference(location)}: {rejected}") from None
        if self.scheme == "https" and target.scheme == "http":
            raise Rejected(Reason.INSECURE_REDIRECT, f"redirected from https to http, at {target.authority}")
        return target


def normal_url(text: str) -> str:
    """A URL as browsers read it: without blanks around it, and without line ends and tabs wherever they are.

    Blanks and letters within it are left for `parse_url`, since in the names of objects in stores they are meant.
    """
    return text.strip(_AROUND).translate(_WITHIN)


def parse_url(url: str) -> WebAddress:
    """Parse an http or https URL; `normal_url` of it, with blanks and letters quoted.

    Raises:
        Rejected: it is malformed, carries a user name, or its host is a number in disguise.
    """
    url = normal_url(url)
    if len(url) > _LONGEST_URL:
        raise Rejected(Reason.BAD_URL, f"the URL is longer than {_LONGEST_URL} characters")
    if found := _UNUSABLE.search(url):
        what = r"a backslash, write /" if found.group() == "\\" else "a control character"
        raise Rejected(Reason.BAD_URL, f"the URL contains {what}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Rejected(Reason.BAD_URL, f"the URL is malformed ({error})") from None
    if parts.scheme not in _PORTS:
        raise Rejected(Reason.BAD_URL, "neither http nor https")
    if " " in parts.netloc:
        raise Rejected(Reason.BAD_URL, "the URL has a blank in the name of its host")
    if "@" in parts.netloc:
        raise Rejected(Reason.BAD_URL, "the URL carries a user name or password")
    if port == 0:
        raise Rejected(Reason.BAD_URL, "there is no port 0")
    return WebAddress(
        scheme=parts.scheme,
        host=normal_host(parts.hostname or ""),
        port=port or _PORTS[parts.scheme],
        target=_target(parts),
    )


def check_listed(address: WebAddress, patterns: Collection[str]) -> None:
    """Raise Rejected if the allow-list does not name the host."""
    if not is_listed(address.host, patterns):
        listed = "PERSQA_IMAGE_HOSTS names the hosts that are" if patterns else "PERSQA_IMAGE_HOSTS names none"
        raise Rejected(Reason.HOST_NOT_ALLOWED, f"the host {address.host} is not allowed; {listed}")


def _text_of(location: str) -> str:
    """A header as text: UTF-8, and what is none quoted byte by byte."""
    raw = location.encode("latin-1", "ignore")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return re.sub(rb"[\x80-\xff]", lambda found: b"%%%02X" % found.group()[0], raw).decode("ascii")


def _target(parts: SplitResult) -> str:
    query = f"?{parts.query}" if parts.query else ""
    return quote((parts.path or "/") + query, safe=_AS_IT_IS)
