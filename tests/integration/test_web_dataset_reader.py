"""WebDataset shards: samples, members of every kind, and archives that are broken or not to be trusted."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import tarfile
from pathlib import Path

import pytest
import zstandard
from PIL import Image

from persqa.blobs import BlobStore
from persqa.errors import InputError
from persqa.reasons import Reason
from persqa.records import Columns
from tests.support.reading import one_error, opened, values, write
from tests.support.thousand import picture, reference, thousand, write_shards


def tar(*members: tuple[str, bytes]) -> bytes:
    kept = io.BytesIO()
    with tarfile.open(fileobj=kept, mode="w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return kept.getvalue()


def jpeg() -> bytes:
    kept = io.BytesIO()
    Image.new("RGB", (2, 2)).save(kept, "JPEG")
    return kept.getvalue()


def test_a_sample_is_its_json_with_the_pictures_under_the_image_column(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "a.tar",
        tar(
            ("in/0.json", b'{"id": 1, "conversation": []}'),
            ("in/0.left.JPG", picture(0)),
            ("in/0.right.png", picture(1)),
            ("in/1.png", picture(2)),
            ("in/1.txt", "a ü".encode()),
            ("in/1.cls", b"7"),
            ("in/1.meta.json", b"[1, null]"),
        ),
    )
    two = [f"{reference(0)}/0.left.JPG", f"{reference(1)}/0.right.png"]
    assert values(opened(path)) == [
        {"__key__": "in/0", "id": 1, "conversation": [], "image": two},
        {"__key__": "in/1", "image": f"{reference(2)}/1.png", "txt": "a ü", "cls": 7, "meta.json": [1, None]},
    ]
    (first, _) = values(opened(path, columns=Columns(image="photo")))
    assert isinstance(first, dict)
    assert first["photo"] == two
    assert [raw.place for raw in opened(path)] == ["sample 1 (in/0)", "sample 2 (in/1)"]


def test_what_is_pickled_or_unknown_stays_bytes_and_is_never_opened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "exploded",))

    pickled = pickle.dumps(Bomb())
    members = [(f"0.{suffix}", pickled) for suffix in ("pkl", "pyd", "pickle", "pth", "npy", "bin")]
    (found,) = values(opened(write(tmp_path, "a.tar", tar(("0.png", picture(0)), *members))))
    assert isinstance(found, dict)
    assert all(str(found[name.partition(".")[2]]).startswith("blob:") for name, _ in members)
    digest = str(found["pkl"])[5:].partition("/")[0]
    assert BlobStore("blobs").get(digest, max_bytes=10_000) == pickled
    assert not (tmp_path / "exploded").exists()


def test_a_name_that_would_be_a_command_to_the_library_is_a_name_here(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        opened(f"pipe:touch {tmp_path}/ran #.tar")
    assert not (tmp_path / "ran").exists()


def test_what_is_no_sample_is_left_out(tmp_path: Path) -> None:
    content = tar(("README", b"x"), ("__index__.json", b"{}"), ("._0.png", b"x"), (".x", b""), ("0.png", picture(0)))
    reader = opened(write(tmp_path, "a.tar", content))
    assert values(reader) == values(reader) == [{"__key__": "0", "image": f"{reference(0)}/0.png"}]
    assert {(one.kind, one.number, one.example) for one in reader.passed} == {
        ("file without a suffix", 1, "README"),
        ("metadata file", 1, "__index__.json"),
        ("AppleDouble file", 1, "._0.png"),
        ("hidden file", 1, ".x"),
    }


def test_names_may_begin_with_underscores(tmp_path: Path) -> None:
    content = tar(("__vz.jpg", picture(0)), ("__vz.json", b'{"c": 1}'), ("_x.jpg", picture(1)), ("__.__u.jpg", b"x"))
    first, second, third = values(opened(write(tmp_path, "a.tar", content)))
    assert first == {"__key__": "__vz", "c": 1, "image": f"{reference(0)}/__vz.jpg"}
    assert (second, third) == (
        {"__key__": "_x", "image": f"{reference(1)}/_x.jpg"},
        {"__key__": "__", "image": f"{BlobStore('blobs').put(b'x')}/__.__u.jpg".join(["blob:", ""])},
    )


@pytest.mark.parametrize(
    ("order", "again"),
    [
        ("1.jpg 2.jpg 1.json 2.json", "1.json: the sample 1 comes again"),
        ("a/1.jpg a/2.jpg a/1.txt", "a/1.txt: the sample"),
    ],
)
def test_members_of_one_sample_that_do_not_follow_each_other_are_a_fault(
    tmp_path: Path, order: str, again: str
) -> None:
    path = write(tmp_path, "a.tar", tar(*((name, b"{}") for name in order.split())))
    with pytest.raises(InputError, match=rf"a\.tar: {again} .*tar --sort=name"):
        list(opened(path))


def test_pictures_are_known_by_their_content_and_the_others_named(tmp_path: Path) -> None:
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    members = [
        ("0.jfif", jpeg()),
        ("0.json", b"{}"),
        ("1.bin", jpeg()),
        ("2", jpeg()),
        ("3.heic", heic),
        ("3.json", b"{}"),
        ("4.heic", heic),
        ("4.jpg", jpeg()),
        ("5", heic),
    ]
    reader = opened(write(tmp_path, "a.tar", tar(*members)))
    found = list(reader)
    images = [raw.value.get("image") for raw in found if isinstance(raw.value, dict)]
    assert [isinstance(image, str) for image in images] == [True, True, True, False, True]
    assert [str(image).rpartition("/")[2] for image in images] == ["0.jfif", "1.bin", "2", "None", "4.jpg"]
    assert [str(raw.error) for raw in found if raw.error] == ["3.heic: HEIC, which no worker decodes"]
    assert [(one.kind, one.example) for one in reader.passed] == [("HEIC picture", "5")]


def test_a_byte_order_mark_is_no_part_of_a_member(tmp_path: Path) -> None:
    mark = b"\xef\xbb\xbf"
    members = [
        ("0.json", mark + b'{"c": 1}'),
        ("0.txt", mark + b"hello"),
        ("0.cls", mark + b"7"),
        ("0.m.json", mark + b"null"),
    ]
    assert values(opened(write(tmp_path, "a.tar", tar(*members)))) == [
        {"__key__": "0", "c": 1, "txt": "hello", "cls": 7, "m.json": None}
    ]


def test_a_sample_of_any_number_of_members_is_held_as_references(tmp_path: Path) -> None:
    members = [(f"22.{number:03}.jpg", picture(number)) for number in range(200)]
    (found,) = values(opened(write(tmp_path, "a.tar", tar(*members))))
    assert isinstance(found, dict)
    assert found["image"] == [f"{reference(number)}/22.{number:03}.jpg" for number in range(200)]


@pytest.mark.parametrize(
    ("members", "reason", "message"),
    [
        ([("0.json", b'{"image": "a"}'), ("0.png", b"x")], Reason.BAD_VALUE, "has a field 'image'"),
        ([("0.json", b'{"txt": "a"}'), ("0.txt", b"x")], Reason.BAD_VALUE, "has a field 'txt'"),
        ([("0.json", b"{"), ("0.png", b"x")], Reason.NOT_JSON, "0.json is not valid JSON"),
        ([("0.json", b"\xff"), ("0.png", b"x")], Reason.NOT_JSON, "0.json is not valid JSON"),
        ([("0.json", b"[1]"), ("0.png", b"x")], Reason.NOT_AN_OBJECT, "0.json holds no object"),
    ],
)
def test_a_sample_that_is_wrong_harms_only_itself(
    tmp_path: Path, members: list[tuple[str, bytes]], reason: Reason, message: str
) -> None:
    wrong = one_error(opened(write(tmp_path, "a.tar", tar(*members, ("1.png", picture(1))))))
    assert wrong.place == "sample 1 (0)"
    assert wrong.error is not None
    assert wrong.error.reason is reason
    assert message in str(wrong.error)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("damage", ["cut in a file", "cut between files", "broken header", "joined", "no tar", "empty"])
def test_a_broken_archive_is_refused_and_not_taken_for_its_end(tmp_path: Path, damage: str, packed: bool) -> None:
    whole = tar(*((f"{number}.png", picture(number)) for number in range(4)))
    content = {
        "cut in a file": whole[: 1024 * 2 + 600],
        "cut between files": whole[: 1024 * 2],
        "broken header": whole[:1024] + b"\xff" * 512 + whole[1536:],
        "joined": whole + whole,
        "no tar": b"hello" * 500,
        "empty": b"",
    }[damage]
    path = write(tmp_path, "a.tar.gz", gzip.compress(content)) if packed else write(tmp_path, "a.tar", content)
    with pytest.raises(InputError, match="broken"):
        list(opened(path))


def test_a_packing_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(tar(("0.png", picture(0)), ("1.png", picture(1))))
    for name in ("a.tar.gz", "a.tgz"):
        with pytest.raises(InputError, match="Truncated"):
            list(opened(write(tmp_path, name, packed[:-6])))


def test_an_archive_may_be_packed_with_zstandard(tmp_path: Path) -> None:
    whole = zstandard.ZstdCompressor().compress(tar(("0.png", picture(0)), ("1.txt", b"x" * 100_000)))
    found = values(opened(write(tmp_path, "a.tar.zst", whole)))
    assert [isinstance(record, dict) and record["__key__"] for record in found] == ["0", "1"]


def test_a_member_that_comes_twice_is_refused(tmp_path: Path) -> None:
    for names, said in ((("0.png", "0.png"), "0.png comes twice"), (("0.jpg", "0.JPG"), "0.jpg and 0.JPG")):
        path = write(tmp_path, "a.tar", tar(*((name, b"x") for name in names)))
        with pytest.raises(InputError, match=rf"a\.tar: {said}: duplicates, .*; rename one of them$"):
            list(opened(path))


def test_links_out_of_the_archive_are_not_followed(tmp_path: Path) -> None:
    kept = io.BytesIO()
    with tarfile.open(fileobj=kept, mode="w") as archive:
        link = tarfile.TarInfo("0.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        for kind in (tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE):
            link.type = kind
            archive.addfile(link)
        member = tarfile.TarInfo("1.json")
        member.size = 2
        archive.addfile(member, io.BytesIO(b"{}"))
    reader = opened(write(tmp_path, "a.tar", kept.getvalue()))
    assert values(reader) == [{"__key__": "1"}]
    kinds = {"symbolic link", "hard link", "folder", "special file"}
    assert {(one.kind, one.number, one.example) for one in reader.passed} == {(kind, 1, "0.png") for kind in kinds}


def test_shards_are_read_in_order_whether_by_braces_or_by_stars(tmp_path: Path) -> None:
    braces = write_shards(tmp_path, thousand()[:600])
    assert braces.endswith("shard-{000..002}.tar")
    stars = str(tmp_path / "shard-*.tar")
    found = list(opened(braces))
    assert [raw.value for raw in found] == [raw.value for raw in opened(stars)]
    assert [raw.place for raw in found[249:251]] == [
        f"{tmp_path}/shard-000.tar, sample 250 (000249)",
        f"{tmp_path}/shard-001.tar, sample 1 (000250)",
    ]
    assert (opened(braces).name, opened(stars).name) == ("shard-000..002", "shard")
    assert opened(braces).base == tmp_path


def test_the_librarys_own_reader_finds_the_same_samples(tmp_path: Path) -> None:
    # Imported here: it loads torch, which every process of the tests would do to collect them.
    from webdataset.tariterators import group_by_keys, tar_file_expander

    pattern = write_shards(tmp_path, thousand()[:300])
    theirs: list[dict[str, bytes | str]] = []
    for shard in sorted(tmp_path.glob("*.tar")):
        with shard.open("rb") as stream:
            source = [{"url": str(shard), "stream": stream}]
            theirs += group_by_keys(tar_file_expander(source))
    ours = values(opened(pattern))
    assert [sample["__key__"] for sample in theirs] == [isinstance(our, dict) and our["__key__"] for our in ours]
    assert json.loads(theirs[299]["json"])["id"] == "r299"
