"""What a container engine does between a command and its process, on this machine's own files.

`python -m tests.topology.container SPEC` runs first in fresh namespaces (network, mounts, processes, names). It makes
a copy-on-write view of this machine's files, puts mounts where the service wants them, becomes the service's user and
then the service, which so is process 1 of its own little world, as it would be in a container.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field


class Mount(BaseModel):
    """Something of this machine's, seen at another place."""

    source: Path
    target: Path
    read_only: bool = True


class Spec(BaseModel):
    """One container.

    Attributes:
        hostname: its name.
        layer: an empty folder, where its own files are mounted.
        shared: files of this machine that it sees as they are, under the same paths.
        mounts: others that it sees elsewhere.
        own: folders of its own, empty at first, for whoever it is.
        read_only: whether it can write nowhere else.
        user: whose the process is; one that this machine does not know is known inside.
        directory: where it starts.
        command: what it runs.
    """

    hostname: str
    layer: Path
    shared: list[Path]
    mounts: list[Mount]
    own: list[Path] = []
    read_only: bool = False
    user: Annotated[str, Field(pattern=r"^[a-z]+:\d+$")] = "root:0"
    directory: Path = Path("/")
    command: list[str]


def enter(spec: Spec) -> None:
    """Become the container's process; returns only if that failed."""
    socket.sethostname(spec.hostname)
    root = _own_files(spec.layer)
    for name in ("/dev", "/sys"):
        _mount("--rbind", name, str(root / name[1:]))
    _mount("-t", "proc", "proc", str(root / "proc"))
    name, _, number = spec.user.partition(":")
    _add_user(root, name, int(number))
    for path in spec.shared:
        _bind(root, Mount(source=path, target=path, read_only=False))
    for path in spec.own:
        folder = _inside(root, path)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o1777)
    for mount in spec.mounts:
        _bind(root, mount)
    _inside(root, spec.directory).mkdir(parents=True, exist_ok=True)
    if spec.read_only:
        _mount("-o", "remount,ro", str(root))
    os.chroot(root)
    _become(int(number))
    os.environ["HOME"] = f"/home/{name}"
    os.chdir(spec.directory)
    os.execvp(spec.command[0], spec.command)


def _own_files(layer: Path) -> Path:
    """This machine's files; what is written to them is gone with the container."""
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(layer))
    upper, work, root = layer / "upper", layer / "work", layer / "root"
    for folder in (upper, work, root):
        folder.mkdir()
    _mount("-t", "overlay", "-o", f"lowerdir=/,upperdir={upper},workdir={work}", "overlay", str(root))
    # What the machine has running, and what lies about there, is none of the container's business.
    for folder, mode in (("run", "755"), ("tmp", "1777")):
        _mount("-t", "tmpfs", "-o", f"mode={mode}", "tmpfs", str(root / folder))
    return root


def _bind(root: Path, mount: Mount) -> None:
    target = _inside(root, mount.target)
    if mount.source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    own = root.stat().st_dev
    for parent in target.parents:
        # A home that only its owner may enter can hold the interpreter. What is mounted is this machine's: hands off.
        if parent.is_relative_to(root) and parent.stat().st_dev == own:
            parent.chmod(parent.stat().st_mode | 0o055)
    _mount("--bind", str(mount.source), str(target))
    if mount.read_only:
        _mount("-o", "remount,bind,ro", str(target))


def _inside(root: Path, path: Path) -> Path:
    """Where a path of the container is; followed to its end first, for a link would lead out of here."""
    return root / path.resolve().relative_to("/")


def _add_user(root: Path, name: str, uid: int) -> None:
    """One that this machine does not have, with a home; programs ask who the number is that they run as."""
    home = root / "home" / name
    if not home.exists():
        home.mkdir(parents=True)
        os.chown(home, uid, uid)
    users = root / "etc/passwd"
    others = [line for line in users.read_text().splitlines() if line.split(":")[2] != str(uid)]
    users.write_text("\n".join([f"{name}:x:{uid}:{uid}::/home/{name}:/bin/sh", *others]) + "\n")


def _become(uid: int) -> None:
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    enter(Spec.model_validate_json(sys.argv[1]))
