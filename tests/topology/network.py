"""A switch and hosts on it, each a network namespace; nothing of it is seen, or changed, outside of them."""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

_PREFIX = "persqa"
#: Where every host finds names, as in containers of Docker.
RESOLVER = "127.0.0.11"
_SUBNET = "10.77.0"
_TOOLS = ("ip", "unshare", "nsenter", "setpriv", "mount")

#: os.setns is there from Python 3.12 on.
_LIBC = ctypes.CDLL(None, use_errno=True)
_NETWORK = 0x40000000


class NotPermitted(Exception):
    """This machine, or this user on it, cannot have network namespaces."""


@dataclass(frozen=True, slots=True)
class Host:
    """One machine of the network: a namespace with one cable to the switch."""

    name: str
    address: str
    namespace: str
    switch: str
    port: str

    def inside(self, command: Sequence[str]) -> list[str]:
        """The command, run on this host; it is killed when the thread that starts it ends, however that happens."""
        return ["setpriv", "--pdeathsig", "KILL", "ip", "netns", "exec", self.namespace, *command]

    @contextmanager
    def entered(self) -> Generator[None]:
        """Let this thread, and no other, open its connections from this host."""
        with (
            Path("/proc/thread-self/ns/net").open("rb") as ours,
            Path("/run/netns", self.namespace).open("rb") as theirs,
        ):
            _set_namespace(theirs.fileno())
            try:
                yield
            finally:
                _set_namespace(ours.fileno())

    @contextmanager
    def answering_names(self, names_file: Path) -> Generator[None]:
        """Have what Docker has in every container, for a program that reads no hosts file."""
        command = self.inside([sys.executable, "-m", "tests.topology.names", str(names_file)])
        process = subprocess.Popen(command, cwd=Path(__file__).parents[2])
        try:
            yield
        finally:
            process.kill()
            process.wait()

    def cut(self) -> None:
        """Pull its cable: nobody is told, packets just go nowhere."""
        _ip("-n", self.switch, "link", "set", self.port, "down")

    def mend(self) -> None:
        """Put the cable back."""
        _ip("-n", self.switch, "link", "set", self.port, "up")


@dataclass(slots=True)
class Network:
    """Hosts that reach each other by name, and nothing else."""

    folder: Path
    _tag: str = field(default_factory=lambda: f"{_PREFIX}-{os.getpid()}-{secrets.token_hex(3)}")
    _hosts: list[Host] = field(default_factory=list[Host])
    _names: dict[str, str] = field(default_factory=lambda: {"localhost": "127.0.0.1 localhost"})

    def __enter__(self) -> Self:
        """Build the switch.

        Raises:
            NotPermitted: this machine has no such thing for us.
        """
        _check_tools()
        self.resolver_file.write_text(f"nameserver {RESOLVER}\n")
        _remove_leftovers()
        _ip("netns", "add", self._switch)
        try:
            _ip("-n", self._switch, "link", "add", "switch", "type", "bridge")
            _ip("-n", self._switch, "link", "set", "switch", "up")
        except NotPermitted:
            self.close()
            raise
        return self

    def add(self, name: str, *aliases: str) -> Host:
        """Plug in another host; everybody knows it by its name, and by others that it may share."""
        number = len(self._hosts) + 1
        host = Host(name, f"{_SUBNET}.{number}", f"{self._tag}-{number}", self._switch, f"port{number}")
        _ip("netns", "add", host.namespace)
        self._hosts.append(host)
        # Both ends are made where they belong, so that they never show up among the machine's own.
        _ip(
            *("-n", self._switch, "link", "add", host.port, "type", "veth"),
            *("peer", "name", "eth0", "netns", host.namespace),
        )
        _ip("-n", self._switch, "link", "set", host.port, "master", "switch", "up")
        _ip("-n", host.namespace, "address", "add", f"{host.address}/24", "dev", "eth0")
        _ip("-n", host.namespace, "link", "set", "lo", "up")
        _ip("-n", host.namespace, "link", "set", "eth0", "up")
        self._names[name] = " ".join((host.address, name, *aliases))
        self._tell_names()
        return host

    def forget(self, name: str) -> None:
        """Nobody knows this host by its names any longer."""
        self._names.pop(name, None)
        self._tell_names()

    @property
    def names_file(self) -> Path:
        """All hosts, for /etc/hosts."""
        return self.folder / "hosts"

    @property
    def resolver_file(self) -> Path:
        """Where programs ask that do not read that, for /etc/resolv.conf; `tests.topology.names` may answer."""
        return self.folder / "resolv.conf"

    def close(self) -> None:
        """Remove all of it; what still runs on a host is killed."""
        for namespace in (*(host.namespace for host in self._hosts), self._switch):
            _remove(namespace)
        self._hosts.clear()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tell_names(self) -> None:
        # In place: it is mounted on every host.
        self.names_file.write_text("\n".join(self._names.values()) + "\n")

    @property
    def _switch(self) -> str:
        return f"{self._tag}-switch"


def _check_tools() -> None:
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        raise NotPermitted(f"not installed: {', '.join(missing)} (Debian: iproute2, util-linux, mount)")
    if os.geteuid() != 0:
        raise NotPermitted("network namespaces need root")


def _remove_leftovers() -> None:
    """Of test runs that were killed: their process ids are in the names."""
    for namespace in _ip("netns", "list").split():
        prefix, _, rest = namespace.partition("-")
        process = rest.partition("-")[0]
        if prefix == _PREFIX and process.isdigit() and not psutil.pid_exists(int(process)):
            _remove(namespace)


def _remove(namespace: str) -> None:
    for process in subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, check=False).stdout.split():
        try:
            psutil.Process(int(process)).kill()
        except psutil.NoSuchProcess:
            continue
    subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False)


def _set_namespace(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _NETWORK) != 0:
        raise NotPermitted(f"a thread cannot change its network: {os.strerror(ctypes.get_errno())}")


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotPermitted(f"`ip {' '.join(arguments)}` says: {done.stderr.strip()}")
    return done.stdout
