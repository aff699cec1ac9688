"""PersQA as pip installs it: a wheel in an environment with nothing but what its metadata asks for.

The files of other distributions are those of the test's own environment, by links: nothing is downloaded, and what is
not asked for is not there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
from dataclasses import dataclass
from importlib.metadata import PathDistribution, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The source tree.
ROOT = Path(__file__).parents[2]
#: What a worker needs to have the scripted engine, which no wheel has.
_ENGINE = ("scripted_engine.py", "scripts.py", "wait.py")


def build(kind: str, source: Path, folder: Path) -> Path:
    """Build a `wheel` or an `sdist` from a source tree, which stays as it is; gives the file."""
    code = f"import sys; from hatchling.build import build_{kind}; print(build_{kind}(sys.argv[1]))"
    built = subprocess.check_output([sys.executable, "-c", code, str(folder)], cwd=source, text=True)
    return folder / built.split()[-1]


def unpacked(sdist: Path, folder: Path) -> Path:
    """Unpack an sdist; gives its one folder."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (found,) = folder.iterdir()
    return found


@dataclass(frozen=True)
class Installed:
    """An environment with PersQA in it.

    Attributes:
        root: of the environment.
        engine: a folder for `PYTHONPATH`, with the scripted engine.
    """

    root: Path
    engine: Path

    def run(self, folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in a folder, with these variables and hardly any others."""
        few = {name: os.environ[name] for name in ("HOME", "TMPDIR") if name in os.environ}
        environment = {"PATH": f"{self.root / 'bin'}:/usr/bin:/bin", **few, **variables}
        program, *arguments = command
        return subprocess.run(
            [self.root / "bin" / program, *arguments],
            cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            timeout=120,
        )  # fmt: skip


def install(wheel: Path, folder: Path) -> Installed:
    """Install a wheel into an empty environment, with the distributions that it asks for, and theirs."""
    root = folder / "environment"
    venv.create(root, symlinks=True)
    python = root / "bin" / "python"
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--no-cache"]
    subprocess.run([*command, "--python", str(python), str(wheel)], check=True)
    (packages,) = root.glob("lib/python*/site-packages")
    (own,) = packages.glob("persqa-*.dist-info")
    for name in _asked_for(PathDistribution(own).requires or ()):
        _link(name, packages)
    engine = folder / "engine"
    (engine / "tests" / "support").mkdir(parents=True)
    for name in _ENGINE:
        (engine / "tests" / "support" / name).symlink_to(ROOT / "tests" / "support" / name)
    return Installed(root, engine)


def _asked_for(requirements: Iterable[str]) -> set[str]:
    """The names of all distributions that these requirements bring, without extras of PersQA itself."""
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    waiting = [(requirement, "") for requirement in requirements]
    while waiting:
        text, extra = waiting.pop()
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in ("", *requirement.extras):
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                waiting += [(inner, wanted) for inner in distribution(name).requires or ()]
        found.add(name)
    return found


def _link(name: str, packages: Path) -> None:
    """Put a distribution of this environment into another one."""
    found = distribution(name)
    for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
        (packages / top).symlink_to(Path(str(found.locate_file(top))).resolve())
