"""What a built wheel can do far from the source tree, with nothing installed that it does not ask for."""

from __future__ import annotations

import json
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest

from persqa.settings import Settings
from tests.support.exporting import parquet_rows, read_json
from tests.support.installed import ROOT, Installed, build, install, unpacked
from tests.support.servers import valkey_server
from tests.support.workers import scripted

PACKAGES = ("persqa", "producer", "worker")
#: What an sdist has beside them: what it takes to build, to install a worker for the CPU, and to read.
BESIDE = {".gitignore", "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "docs", "pyproject.toml", "requirements"}

#: Looks at the answers, exports them, and says where its code is.
_LOOK = """
import json, sys, persqa, producer, worker
with producer.Client() as client:
    run = client.run("people")
    rows = list(run.results(status="ok"))
    run.export("pairs.jsonl", paths="copy")
    run.export("pairs.parquet")
    run.export("page.html", gallery=True)
    shown = run._repr_html_()
files = [module.__file__ for module in (persqa, producer, worker)]
answers, images = [row.answer for row in rows], ["people/" + row.image for row in rows]
print(json.dumps({"files": files, "path": sys.path, "answers": answers, "images": images, "shown": shown}))
"""


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source tree as it is published, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    return unpacked(build("sdist", ROOT, folder), folder / "unpacked")


@pytest.fixture(scope="module")
def wheel(sdist: Path) -> Path:
    """The wheel, built from that."""
    return build("wheel", sdist, sdist.parent)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel, and what it asks for, in an environment of its own."""
    return install(wheel, tmp_path_factory.mktemp("installed"))


def test_the_wheel_has_every_file_of_the_packages_and_no_other(wheel: Path) -> None:
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES]
    tree = {
        name for name in subprocess.check_output(listed, cwd=ROOT, text=True).splitlines() if (ROOT / name).exists()
    }
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if ".dist-info/" not in name} == tree
    assert any(name.endswith("model.safetensors") for name in names)
    # What the gallery and a page to send read beside their code.
    for name in ("templates/base.html", "static/gallery.css", "static/htmx.min.js", "static/htmx.LICENSE.txt"):
        assert f"producer/web/{name}" in names
    assert {"producer/exporters/page/page.css", "producer/exporters/page/page.js"} <= names


def test_the_sdist_has_what_is_needed_and_nothing_astray(sdist: Path) -> None:
    assert {path.name for path in sdist.iterdir()} == BESIDE | set(PACKAGES)
    assert not [path for path in sdist.rglob("*") if path.suffix in (".pyc", ".db", ".log")]


def test_the_main_job_is_done_from_the_wheel(installed: Installed, tmp_path: Path) -> None:
    engine = scripted(Settings(), "compliant").environment()
    here = tmp_path / "somewhere"
    here.mkdir()

    def run(*command: str) -> str:
        ended = installed.run(
            here, *command, PYTHONPATH=str(installed.engine), PERSQA_DATABASE_URL=f"sqlite:///{tmp_path}/people.db",
            PERSQA_BROKER_URL=url, **{name: engine[name] for name in ("PERSQA_ENGINE", "PERSQA_ENGINE_ARGS")},
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    with valkey_server() as url:
        run("persqa", "demo-data", "3", "people")
        assert json.loads(run("persqa", "submit", "people/people.jsonl", "--json"))["enqueued"] == 3
        run("persqa", "run", "people/people.jsonl")
        said = json.loads(run("python", "-c", _LOOK))
    assert all(file.startswith(str(installed.root)) for file in said["files"]), said
    assert str(ROOT) not in said["path"]
    pairs = read_json(here / "pairs.jsonl")
    assert said["answers"] == [pair["output"] for pair in pairs]
    assert all((here / pair["image"]).read_bytes()[:2] == b"\xff\xd8" for pair in pairs)
    assert [row["image"] for row in parquet_rows(here / "pairs.parquet")] == said["images"]
    # A page to send and a notebook need no extra.
    assert (here / "page.html").read_text().count("data:image/jpeg;base64,") == len(pairs)
    assert said["shown"].count("data:image/jpeg;base64,") == len(pairs)


def test_what_is_not_installed_is_said_with_the_extra_that_brings_it(installed: Installed, tmp_path: Path) -> None:
    ended = installed.run(tmp_path, "persqa", "submit", "hf://org/name", PERSQA_BROKER_URL="redis://localhost:1")
    assert ended.returncode == 2
    assert "pip install 'persqa[data]'" in ended.stderr
    ended = installed.run(tmp_path, "persqa", "ui")
    assert ended.returncode == 2
    assert "pip install 'persqa[ui]'" in ended.stderr


def test_every_extra_is_explained() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    text = (ROOT / "docs" / "install.md").read_text()
    assert [extra for extra in extras if f"[{extra}]" not in text and f",{extra}]" not in text] == []
