"""A path that names no file letter for letter leads to the one file that was meant, and never out of the roots."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persqa.errors import Rejected
from persqa.images import ImageLimits, read_image
from persqa.reasons import Reason

LIMITS = ImageLimits(roots=(), max_pixels=9, max_bytes=99)
NFC, NFD = "Café/größe.png", unicodedata.normalize("NFD", "Café/größe.png")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "base").mkdir()
    return tmp_path / "base"


def put(base: Path, name: str, content: str = "here") -> None:
    path = base / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def read(base: Path, reference: str, *roots: Path) -> str:
    limits = ImageLimits(roots=roots, max_pixels=9, max_bytes=99)
    return read_image(reference, base=base, limits=limits).data.decode()


def refusal(base: Path, reference: str) -> tuple[Reason, str]:
    with pytest.raises(Rejected) as caught:
        read(base, reference)
    return caught.value.reason, str(caught.value)


@pytest.mark.parametrize(
    ("there", "asked"),
    [
        (NFD, NFC),
        (NFC, NFD),
        ("Café/" + unicodedata.normalize("NFD", "größe.png"), NFC),
        (unicodedata.normalize("NFD", "Café/") + "größe.png", NFC),
        ("images/a.png", "images\\a.png"),
        ("images/a.png", ".\\images\\a.png"),
        ("a.png", " a.png\r\n"),
        ("images/a.png", "images\\a.png "),
        (NFD, NFC.replace("/", "\\")),
        (f"{90 * 'folder/'}a.png", 90 * "folder\\" + "a.png"),
    ],
)
def test_what_programs_make_of_a_name_is_found(base: Path, there: str, asked: str) -> None:
    put(base, there)
    assert read(base, asked) == "here"
    assert read(base.parent, f"base/{asked.lstrip()}", base) == "here"


@pytest.mark.parametrize(
    "name", ["images\\a.png", " a.png ", NFC, NFD, "a%20b.png", "a#b?c.png", "data;x:1.png", "~/a.png"]
)
def test_a_file_of_the_very_name_comes_first(base: Path, name: str) -> None:
    for other in ("images/a.png", "a.png", NFC, NFD, "a b.png"):
        put(base, other, "other")
    put(base, name)
    assert read(base, name) == "here"


def test_of_two_files_that_could_be_meant_none_is_taken(base: Path) -> None:
    mixed = "é" + unicodedata.normalize("NFD", "é") + ".png"
    put(base, unicodedata.normalize("NFC", mixed))
    assert read(base, mixed) == "here"
    put(base, unicodedata.normalize("NFD", mixed))
    assert refusal(base, mixed)[0] is Reason.NOT_FOUND


@pytest.mark.parametrize(
    "asked", ["..\\secret.png", f"..\\{NFC}", "link\\secret.png", f"link/{NFC}", f"{NFC[:5]}\\..\\..\\secret.png"]
)
def test_no_spelling_leads_out_or_tells_what_is_outside(base: Path, asked: str) -> None:
    (base / "link").symlink_to(base.parent)
    answers: list[tuple[Reason, str]] = []
    for _ in range(2):
        answers.append(refusal(base, asked))
        put(base.parent, "secret.png")
        put(base.parent, NFD)
    assert answers[0] == answers[1]


def test_a_link_of_another_spelling_is_followed_by_the_same_rules(base: Path) -> None:
    put(base.parent, "secret.png")
    put(base, "inside.png")
    (base / unicodedata.normalize("NFD", "é.png")).symlink_to(base.parent / "secret.png")
    (base / unicodedata.normalize("NFD", "ü.png")).symlink_to("inside.png")
    assert refusal(base, "é.png")[0] is Reason.NOT_FOUND
    assert read(base, "ü.png") == "here"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("~/a.png", "~ is no folder here: write the whole path"),
        ("C:\\data\\a.png", "it is a path of Windows"),
        ("\\\\server\\share\\a.png", "it is a path of Windows"),
        ("a.png", "no such file; relative paths start at {base} (--image-base)"),
        (
            "../a.png",
            "not inside a folder that PERSQA_IMAGE_ROOTS (--image-roots) allows, links followed; "
            "relative paths start at {base} (--image-base)",
        ),
        ("/etc/passwd", "PERSQA_IMAGE_ROOTS (--image-roots) allows, links followed"),
    ],
)
def test_a_path_that_leads_nowhere_says_what_to_do(base: Path, asked: str, words: str) -> None:
    assert words.format(base=base) in refusal(base, asked)[1]


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_any_path_is_found_or_refused(tmp_path_factory: pytest.TempPathFactory, path: str) -> None:
    base = tmp_path_factory.getbasetemp() / "any"
    base.mkdir(exist_ok=True)
    with pytest.raises(Rejected):
        read_image(path, base=base, limits=LIMITS)
