"""What a path may name, and what it may not."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from persqa.errors import Infrastructure, Rejected
from persqa.reasons import Reason
from tests.support.pictures import load, quarters, rejected


class TestPaths:
    def test_relative(self, folder: Path) -> None:
        assert load("good.png", folder).size == (64, 64)

    def test_absolute(self, folder: Path, tmp_path: Path) -> None:
        assert load(str(folder / "good.png"), tmp_path / "elsewhere", folder).size == (64, 64)

    def test_spaces_and_unicode(self, folder: Path) -> None:
        (folder / "größe 山.png").write_bytes((folder / "good.png").read_bytes())
        assert load("größe 山.png", folder).size == (64, 64)

    def test_no_roots_means_the_base(self, folder: Path, tmp_path: Path) -> None:
        assert load(str(folder / "good.png"), folder).size == (64, 64)
        assert rejected(str(tmp_path / "secret.png"), folder).reason is Reason.OUTSIDE_ROOTS

    def test_given_roots_replace_the_base(self, folder: Path, tmp_path: Path) -> None:
        other = tmp_path / "other"
        other.mkdir()
        assert rejected("good.png", folder, other).reason is Reason.OUTSIDE_ROOTS

    def test_second_root(self, folder: Path, tmp_path: Path) -> None:
        assert load("good.png", folder, tmp_path / "other", folder).size == (64, 64)

    def test_whole_file_system_as_root(self, folder: Path) -> None:
        assert load("good.png", folder, Path("/")).size == (64, 64)
        assert load("../secret.png", folder, Path("/")).size == (64, 64)

    def test_relative_base_and_root(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(folder.parent)
        assert load("good.png", Path("data")).size == (64, 64)
        assert load("good.png", Path("data"), Path()).size == (64, 64)

    def test_root_that_is_a_link(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(folder)
        assert load("good.png", tmp_path / "link").size == (64, 64)

    def test_link_inside_the_root(self, folder: Path) -> None:
        (folder / "link.png").symlink_to("good.png")
        assert load("link.png", folder).size == (64, 64)

    def test_dots_inside_the_root(self, folder: Path) -> None:
        (folder / "sub").mkdir()
        assert load("sub/../good.png", folder).size == (64, 64)


class TestOutsideRoots:
    @pytest.mark.parametrize("reference", ["../secret.png", "sub/../../secret.png", "/etc/passwd", ".."])
    def test_plain(self, folder: Path, reference: str) -> None:
        assert rejected(reference, folder).reason is Reason.OUTSIDE_ROOTS

    def test_link_to_a_file(self, folder: Path, tmp_path: Path) -> None:
        (folder / "link.png").symlink_to(tmp_path / "secret.png")
        assert rejected("link.png", folder).reason is Reason.OUTSIDE_ROOTS

    def test_link_to_a_folder(self, folder: Path, tmp_path: Path) -> None:
        (folder / "sub").symlink_to(tmp_path)
        assert rejected("sub/secret.png", folder).reason is Reason.OUTSIDE_ROOTS

    def test_dots_count_after_the_link(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "a" / "b").mkdir(parents=True)
        (folder / "sub").symlink_to(tmp_path / "a" / "b")
        assert rejected("sub/../good.png", folder).reason is Reason.OUTSIDE_ROOTS

    def test_sibling_with_the_same_beginning(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "data2").mkdir()
        quarters().save(tmp_path / "data2" / "a.png")
        assert rejected("../data2/a.png", folder).reason is Reason.OUTSIDE_ROOTS

    def test_does_not_tell_what_exists(self, folder: Path) -> None:
        here, missing = rejected("../secret.png", folder), rejected("../nothing.png", folder)
        assert here.reason is missing.reason is Reason.OUTSIDE_ROOTS

    def test_links_in_a_circle(self, folder: Path) -> None:
        (folder / "a").symlink_to("b")
        (folder / "b").symlink_to("a")
        assert rejected("a", folder).reason is Reason.OUTSIDE_ROOTS

    def test_link_put_there_after_the_check(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real_open = os.open

        def swap_and_open(path: Path, flags: int) -> int:
            path.unlink()
            path.symlink_to(tmp_path / "secret.png")
            return real_open(path, flags)

        monkeypatch.setattr(os, "open", swap_and_open)
        assert rejected("good.png", folder).reason is Reason.OUTSIDE_ROOTS


class TestBadPath:
    @pytest.mark.parametrize(
        ("reference", "sentence"),
        [
            ("", "the image path is empty"),
            ("a\0.png", r"a\x00.png: the path contains a NUL character"),
            ("a\ud800.png", r"a\ud800.png: the path is not valid Unicode"),
            ("a\udc80.png", r"a\udc80.png: the path is not valid Unicode"),
        ],
    )
    def test_sentence(self, folder: Path, reference: str, sentence: str) -> None:
        error = rejected(reference, folder)
        assert (error.reason, str(error)) == (Reason.BAD_PATH, sentence)

    @pytest.mark.parametrize("reference", ["n" * 300, "n/" * 3000, "é" * 200, "n/" * 1_000_000])
    @pytest.mark.timeout(5)
    def test_too_long(self, folder: Path, reference: str) -> None:
        error = rejected(reference, folder)
        assert error.reason is Reason.BAD_PATH
        assert len(str(error)) < 300

    def test_sentence_shows_no_control_characters(self, folder: Path) -> None:
        assert str(rejected("\x1b[2J\n\u202e.png", folder)).startswith(r"\x1b[2J\n\u202e.png: no such file")


class TestNotAFile:
    def test_folder(self, folder: Path) -> None:
        (folder / "sub").mkdir()
        assert rejected("sub", folder).reason is Reason.NOT_A_FILE
        assert rejected(".", folder).reason is Reason.NOT_A_FILE

    @pytest.mark.timeout(5)
    def test_fifo_without_a_writer(self, folder: Path) -> None:
        os.mkfifo(folder / "fifo")
        assert rejected("fifo", folder).reason is Reason.NOT_A_FILE

    @pytest.mark.timeout(5)
    def test_fifo_with_a_writer(self, folder: Path) -> None:
        os.mkfifo(folder / "fifo")
        descriptor = os.open(folder / "fifo", os.O_RDWR)
        try:
            assert rejected("fifo", folder).reason is Reason.NOT_A_FILE
        finally:
            os.close(descriptor)

    @pytest.mark.timeout(5)
    def test_socket(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(folder)  # the address of a socket must be short
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket")
            assert rejected("socket", folder).reason is Reason.NOT_A_FILE

    @pytest.mark.timeout(5)
    @pytest.mark.parametrize("device", ["/dev/null", "/dev/zero"])
    def test_device(self, folder: Path, device: str) -> None:
        assert rejected(device, folder, Path("/")).reason is Reason.NOT_A_FILE

    def test_leaves_no_descriptor_open(self, folder: Path) -> None:
        (folder / "sub").mkdir()
        rejected("sub", folder)  # whatever the first call opens for good is open now
        before = os.listdir("/dev/fd")  # noqa: PTH208 - counted, not walked
        for reference in ["sub", "good.png", "nothing"]:
            try:
                load(reference, folder)
            except Rejected:
                continue
        assert len(os.listdir("/dev/fd")) == len(before)  # noqa: PTH208


class TestOperatingSystem:
    def test_not_found(self, folder: Path) -> None:
        error = rejected("images/a.png", folder)
        said = f"images/a.png: no such file; relative paths start at {folder} (--image-base)"
        assert (error.reason, str(error)) == (Reason.NOT_FOUND, said)

    def test_file_taken_for_a_folder(self, folder: Path) -> None:
        assert rejected("good.png/a.png", folder).reason is Reason.NOT_FOUND

    def test_dangling_link(self, folder: Path) -> None:
        (folder / "link.png").symlink_to("nothing.png")
        assert rejected("link.png", folder).reason is Reason.NOT_FOUND

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
    def test_not_permitted_for_real(self, folder: Path) -> None:
        (folder / "good.png").chmod(0)
        assert rejected("good.png", folder).reason is Reason.NOT_PERMITTED

    @pytest.mark.parametrize(
        ("number", "reason"),
        [
            (errno.EACCES, Reason.NOT_PERMITTED),
            (errno.EPERM, Reason.NOT_PERMITTED),
            (errno.EIO, Reason.UNREADABLE),
            (errno.ESTALE, Reason.UNREADABLE),
        ],
    )
    def test_open_fails(self, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, reason: Reason) -> None:
        monkeypatch.setattr(os, "open", failing(number))
        assert rejected("good.png", folder).reason is reason

    def test_reading_fails(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "fdopen", failing(errno.EIO))
        error = rejected("good.png", folder)
        assert error.reason is Reason.UNREADABLE
        assert str(error) == f"good.png: cannot be read: {os.strerror(errno.EIO)}"

    @pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
    def test_a_shortage_is_not_the_fault_of_the_file(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        monkeypatch.setattr(os, "open", failing(number))
        with pytest.raises(Infrastructure):
            load("good.png", folder)


def failing(number: int) -> Callable[..., int]:
    def fail(*_args: object, **_options: object) -> int:
        raise OSError(number, os.strerror(number))

    return fail
