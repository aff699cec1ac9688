"""The network addresses that images may be fetched from.

The author of a URL chooses its host and what the name resolves to: perhaps this machine, its neighbours, or a cloud's
service for credentials. So names are resolved here, and the addresses are checked.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address

from persqa.errors import Infrastructure, Rejected
from persqa.images.patience import Trouble
from persqa.reasons import Reason

#: The special ranges of IANA, and the address of a cloud's service for its own machines.
_SPECIAL_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
#: The public IPv6 range, and its parts that are not public: special protocols, examples, and embedded IPv4 addresses
#: (Teredo, 6to4). Other embedded ones (mapped, NAT64) lie outside of the range.
_GLOBAL_6 = IPv6Network("2000::/3")
_SPECIAL_6 = tuple(IPv6Network(n) for n in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))

#: What `allow_private` allows: this machine and private networks.
_PRIVATE = tuple(
    IPv4Network(n) for n in ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
) + tuple(IPv6Network(n) for n in ("::1/128", "fc00::/7"))
#: Services that hand out credentials; they are never allowed.
_METADATA = frozenset({"169.254.169.254", "100.100.100.200", "fd00:ec2::254", "fd20:ce::254"})

_NOT_FOUND = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME), socket.EAI_FAIL})


def is_allowed(address: str, *, allow_private: bool = False) -> bool:
    """Whether an image may be fetched from this IPv4 or IPv6 address; never from a metadata service."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if allow_private and address not in _METADATA and any(found in network for network in _PRIVATE):
        return True
    if isinstance(found, IPv4Address):
        return not any(found in network for network in _SPECIAL_4)
    return found in _GLOBAL_6 and not any(found in network for network in _SPECIAL_6)


def allowed_addresses(host: str, port: int, *, allow_private: bool) -> list[str]:
    """The allowed addresses of a host, at least one, in the order to try; resolved only once per connection.

    Raises:
        Rejected: there is no such host, or none of its addresses is allowed.
        Trouble: it cannot be resolved now.
        Infrastructure: this machine lacks a resource.
    """
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise _unresolved(host, error) from error
    except OSError as error:
        raise Infrastructure(f"cannot resolve the hosts of images: {error}") from error
    except UnicodeError as error:
        raise Rejected(Reason.BAD_URL, f"{host} cannot be the name of a host") from error
    found = dict.fromkeys(str(answer[4][0]) for answer in answers)
    if allowed := [address for address in found if is_allowed(address, allow_private=allow_private)]:
        return allowed
    # The sentence does not name the address, which would tell something about this network.
    raise Rejected(Reason.ADDRESS_NOT_ALLOWED, f"{host} leads to a private, local or otherwise special address")


def _unresolved(host: str, error: socket.gaierror) -> Exception:
    if error.errno in _NOT_FOUND:
        return Rejected(Reason.FETCH_FAILED, f"there is no host {host}")
    if error.errno in {socket.EAI_SYSTEM, socket.EAI_MEMORY}:
        return Infrastructure(f"cannot resolve the hosts of images: {error}")
    return Trouble(f"the host {host} cannot be resolved now ({error.strerror})")
