"""Starts the services of a Compose file, each on a host of its own, in its order and with its checks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from tests.support.wait import wait_until
from tests.topology.container import Mount, Spec
from tests.topology.images import TREE, Image, as_user, built, fill_programs, official

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.topology.compose import Service
    from tests.topology.network import Host, Network

_START_SECONDS = 90
#: A health check takes a good part of a second of a processor that the service itself could use.
_LOOK_SECONDS = 1.0
_ONE_SHOT_SECONDS = 120


@dataclass(slots=True, kw_only=True)
class Container:
    """One running service."""

    service: Service
    host: Host
    spec: Spec
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes]
    log: Path
    _looked_at: float = 0.0

    def send(self, number: signal.Signals) -> None:
        """A signal to its process, as `docker kill` sends it."""
        self._inner.send_signal(number)

    def wait(self, seconds: float = 60) -> int:
        """Wait for its end; returns the exit code."""
        return self.process.wait(seconds)

    def run(self, *command: str, seconds: float = 30) -> subprocess.CompletedProcess[str]:
        """Run something beside it, as `docker exec` does."""
        inner = self._inner.pid
        enter = ["nsenter", f"--target={inner}", "--mount", "--uts", "--pid", "--net", f"--root=/proc/{inner}/root"]
        return subprocess.run(
            [*enter, *command], env=dict(self.environment), capture_output=True, text=True, timeout=seconds, check=False
        )

    def begun(self) -> bool:
        """Whether its process is the service's own by now."""
        assert self.process.poll() is None, self.text()
        with suppress(psutil.NoSuchProcess, IndexError):
            return "tests.topology.container" not in self._inner.cmdline()
        return False

    def healthy(self) -> bool:
        """What its health check says, a new one every second."""
        assert self.process.poll() is None, self.text()
        if time.monotonic() - self._looked_at < _LOOK_SECONDS:
            return False
        self._looked_at = time.monotonic()
        with suppress(psutil.NoSuchProcess, IndexError):
            return self.run(*self.service.health).returncode == 0
        return False

    def text(self) -> str:
        """What it has logged."""
        return f"{self.host.name}: {self.log.read_text(errors='replace')}"

    def kill(self) -> None:
        """End it without a word, and all that it has started."""
        self.process.kill()
        self.process.wait()

    @property
    def _inner(self) -> psutil.Process:
        """Its process 1: the only child of the one that waits for it out here."""
        return psutil.Process(self.process.pid).children()[0]


@dataclass(slots=True)
class Services:
    """All services of one deployment.

    Attributes:
        network: where their hosts are.
        folder: for all files of theirs.
        declared: what the Compose file says.
        changed: variables that a test must have otherwise, by service.
    """

    network: Network
    folder: Path
    declared: Mapping[str, Service]
    changed: Mapping[str, Mapping[str, str]]
    _running: dict[str, Container] = field(default_factory=dict[str, Container])
    _hosts: dict[str, Host] = field(default_factory=dict[str, "Host"])
    _path: str = ""

    def start(self, name: str, *numbers: int, seconds: float = _START_SECONDS) -> list[Container]:
        """Start a service, once what it waits for is as it should be; returns when it is well.

        Args:
            name: of the service.
            numbers: which replicas; each is a host of its own, and all are known by the service's name, too.
            seconds: how long they may take to be well.
        """
        service = self.declared[name]
        self._wait_for(service)
        started: list[Container] = []
        for host in [f"{service.name}-{number}" for number in numbers] or [name]:
            self._running[host] = self._launch(name, host, service.command)
            started.append(self._running[host])
        for container in started:
            wait_until(container.begun, describe=f"{container.host.name} begins: {container.log}", seconds=seconds)
        for container in started if service.health else ():
            describe = f"{container.host.name} is well: {container.log}"
            wait_until(container.healthy, describe=describe, seconds=seconds)
        return started

    def run(self, name: str, *command: str, host: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a service to its end, as `docker compose run` does, with another command if one is given."""
        service = self.declared[name]
        self._wait_for(service)
        container = self._launch(name, host or name, command or service.command, together=False)
        try:
            code = container.wait(_ONE_SHOT_SECONDS)
        except subprocess.TimeoutExpired:
            container.kill()
            raise
        errors = container.log.with_suffix(".err").read_text(errors="replace")
        return subprocess.CompletedProcess(command, code, container.log.read_text(errors="replace"), errors)

    def running(self, name: str) -> list[str]:
        """The hosts of a service that is started."""
        return [host for host, container in self._running.items() if container.service.name == name]

    def __getitem__(self, host: str) -> Container:
        return self._running[host]

    def remove(self, host: str) -> None:
        """End a service, and let its name go."""
        self._running.pop(host).kill()
        self.network.forget(host)
        del self._hosts[host]

    def close(self) -> None:
        """End all of them."""
        for container in self._running.values():
            container.kill()
        self._running.clear()

    def host(self, name: str) -> Host:
        """The machine of that name."""
        if name not in self._hosts:
            self._hosts[name] = self.network.add(name, *([name.rpartition("-")[0]] if name[-1].isdigit() else []))
        return self._hosts[name]

    def _wait_for(self, service: Service) -> None:
        for name, condition in service.waits_for.items():
            match condition:
                case "service_completed_successfully":
                    if not (self.folder / f"{name}.done").exists():
                        done = self.run(name)
                        assert done.returncode == 0, f"{name} failed: {done.stdout}{done.stderr}"
                        (self.folder / f"{name}.done").touch()
                case _:
                    if name not in self._running:
                        self.start(name)

    def _launch(self, name: str, host_name: str, command: Sequence[str] | None, *, together: bool = True) -> Container:
        service = self.declared[name]
        image = self._image(service)
        spec = self._spec(service, image, host_name, command)
        environment = {
            "PATH": self._programs(),
            "PYTHONPATH": str(TREE),
            "PYTHONWARNINGS": "ignore",
            **image.environment,
            **service.environment,
            **self.changed.get(name, {}),
        }
        host = self.host(host_name)
        unshared = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"]
        argv = host.inside([*unshared, sys.executable, "-m", "tests.topology.container", spec.model_dump_json()])
        log = self.folder / "logs" / f"{host_name}-{os.urandom(3).hex()}.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("wb") as output, log.with_suffix(".err").open("wb") as errors:
            process = subprocess.Popen(
                argv,
                cwd=TREE,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output if together else errors,
                start_new_session=True,
            )
        return Container(service=service, host=host, spec=spec, environment=environment, process=process, log=log)

    def _image(self, service: Service) -> Image:
        if service.image is not None:
            return official(service.image)
        return built(TREE / "Dockerfile", service.target)

    def _spec(self, service: Service, image: Image, host_name: str, command: Sequence[str] | None) -> Spec:
        entrypoint = image.entrypoint if service.entrypoint is None else service.entrypoint
        default = image.command if service.entrypoint is None else ()
        user = as_user(service.user) if service.user else image.user
        layer = self.folder / "layers" / f"{host_name}-{os.urandom(3).hex()}"
        layer.mkdir(parents=True)
        names = [
            Mount(source=self.network.names_file, target=Path("/etc/hosts")),
            Mount(source=self.network.resolver_file, target=Path("/etc/resolv.conf")),
        ]
        volumes = [self._volume(name, target, user) for target, name in service.volumes.items()]
        return Spec(
            hostname=host_name,
            layer=layer,
            shared=[TREE, Path(sys.prefix), Path(sys.base_prefix), self.folder / "programs"],
            mounts=[*names, *service.mounts, *volumes],
            own=[*image.own, *service.own],
            read_only=service.read_only,
            user=user,
            directory=Path(service.directory) if service.directory else image.directory,
            command=[*entrypoint, *(default if command is None else command)],
        )

    def _volume(self, name: str, target: Path, user: str) -> Mount:
        source = self.folder / "volumes" / name
        if not source.exists():
            source.mkdir(parents=True)
            uid = int(user.partition(":")[2])
            os.chown(source, uid, uid)
        return Mount(source=source, target=target, read_only=False)

    def _programs(self) -> str:
        if not self._path:
            self._path = fill_programs(self.folder / "programs")
        return self._path


def facts(done: subprocess.CompletedProcess[str]) -> object:
    """What a command with `--json` has said."""
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)
