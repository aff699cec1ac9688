"""Which GPUs there are, which of them are asked for, and what each worker gets."""

from __future__ import annotations

from pathlib import Path
from string import ascii_letters, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persqa.errors import SettingsError
from tests.support import nvidia_smi
from worker.crew.cpus import cgroup_limit, usable_cpus
from worker.crew.places import places
from worker.process.gpus import (
    Gpu,
    chosen_gpus,
    gpus_in_use,
    gpus_of_engine,
    grouped,
    installed_gpus,
    parse,
    visible_gpus,
)

_NAMES = st.text(ascii_letters + digits + " -()", min_size=1).map(lambda name: f"NVIDIA {name}x")
_UUIDS = st.uuids(version=4)


@st.composite
def machines(draw: st.DrawFn) -> list[Gpu]:
    """Whole GPUs and parts of others, as a machine would number them."""
    found: list[Gpu] = []
    for number, name in enumerate(draw(st.lists(_NAMES, min_size=1, max_size=9))):
        parts = draw(st.integers(0, 3))
        found += [Gpu(f"{number}:{part}", f"{name} MIG 1g.10gb", f"MIG-{draw(_UUIDS)}") for part in range(parts)]
        if not parts:
            found.append(Gpu(str(number), name, f"GPU-{draw(_UUIDS)}"))
    return found


def listing(gpus: list[Gpu]) -> str:
    """As nvidia-smi prints them."""
    lines: list[str] = []
    for gpu in gpus:
        if not gpu.is_part:
            lines.append(f"GPU {gpu.number}: {gpu.name} (UUID: {gpu.uuid})")
            continue
        number, part = gpu.number.split(":")
        name, profile = gpu.name.rsplit(" MIG ", 1)
        if part == "0":
            lines.append(f"GPU {number}: {name} (UUID: GPU-{number})")
        lines.append(f"  MIG {profile}     Device  {part}: (UUID: {gpu.uuid})")
    return "\n".join(lines)


@given(machines())
def test_what_a_driver_lists_is_read_back(gpus: list[Gpu]) -> None:
    assert parse(listing(gpus)) == (gpus, [])


@given(st.text())
def test_no_text_of_a_driver_is_a_defect(text: str) -> None:
    gpus, others = parse(text)
    assert gpus or others or not text.strip()


@given(machines(), st.data())
def test_every_choice_is_found_by_number_and_by_uuid(gpus: list[Gpu], data: st.DataObject) -> None:
    wanted = data.draw(st.lists(st.sampled_from(gpus), unique=True, min_size=1))
    visible = visible_gpus(gpus, None)
    for name in ("number", "uuid"):
        assert chosen_gpus(",".join(str(getattr(gpu, name)) for gpu in wanted), visible) == wanted
    assert chosen_gpus("all", visible) == gpus


@given(machines(), st.data())
def test_a_restriction_numbers_anew(gpus: list[Gpu], data: st.DataObject) -> None:
    shown = data.draw(st.lists(st.sampled_from(gpus), unique=True, min_size=1))
    visible = visible_gpus(gpus, ",".join(gpu.device for gpu in shown))
    assert chosen_gpus("all", visible) == shown
    last = len(shown) - 1
    assert chosen_gpus(str(last), visible) == [shown[last]]
    with pytest.raises(SettingsError, match=f"{last + 1} is not there"):
        chosen_gpus(str(last + 1), visible)


@given(st.lists(_UUIDS, unique=True, max_size=16), st.integers(1, 8))
def test_groups_share_nothing_and_leave_nothing_out(uuids: list[object], size: int) -> None:
    gpus = [Gpu(str(number), "NVIDIA L4", f"GPU-{uuid}") for number, uuid in enumerate(uuids)]
    if len(gpus) % size:
        with pytest.raises(SettingsError, match=r"GPUs? (does|do) not divide"):
            grouped(gpus, size)
        return
    groups = grouped(gpus, size)
    assert [gpu for group in groups for gpu in group] == gpus
    assert all(len(group) == size for group in groups)


def test_parts_of_gpus_share_no_model() -> None:
    gpus, _ = parse(nvidia_smi.PARTS)
    assert [gpu.number for gpu in gpus] == ["0:0", "0:1", "1"]
    with pytest.raises(SettingsError, match="MIG"):
        grouped(gpus[:2], 2)


def test_an_older_driver_is_understood() -> None:
    gpus, others = parse(nvidia_smi.OLD)
    assert others == []
    assert [(gpu.number, gpu.name) for gpu in gpus] == [
        ("0:0", "A100-SXM4-40GB MIG 1g.5gb"),
        ("1", "Tesla V100-SXM2-16GB"),
    ]
    assert gpus[0].device == "MIG-GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f/7/0"


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ("0,9", "9 is not there; there are:\n  0  NVIDIA H100 80GB HBM3  GPU-7f57"),
        ("0,0", "names a GPU twice"),
        ("1,GPU-8c7c9c30", "names a GPU twice"),
        ("GPU-8c7c", "GPU-8c7c is the beginning of several"),
        ("", "no GPU is left"),
        ("-1", "-1 is not there"),
    ],
)
def test_a_choice_that_cannot_be_had_is_refused_with_what_there_is(wish: str, words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        chosen_gpus(wish, visible_gpus(parse(nvidia_smi.THREE)[0], None))
    assert words in str(refused.value)


def test_a_restriction_to_nothing_is_said() -> None:
    with pytest.raises(SettingsError, match="CUDA_VISIBLE_DEVICES hides all"):
        chosen_gpus("all", visible_gpus(parse(nvidia_smi.THREE)[0], ""))


def test_the_driver_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("PATH", nvidia_smi.install(tmp_path / "bin", nvidia_smi.THREE))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [gpu.number for gpu in installed_gpus()] == ["0", "1", "2"]
    assert [gpu.number for gpu in gpus_in_use({"tensor_parallel_size": 2})] == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,0")
    assert [gpu.number for gpu in gpus_in_use({})] == ["2"]
    nvidia_smi.install(tmp_path / "bin", nvidia_smi.LOST, exit_code=15)
    assert [gpu.number for gpu in installed_gpus()] == ["1"]
    assert "GPU is lost" in caplog.text


def test_a_machine_without_a_gpu_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", nvidia_smi.install(tmp_path / "bin", nvidia_smi.NO_DRIVER, exit_code=9))
    with pytest.raises(SettingsError, match=r"no NVIDIA GPU answers.*couldn't communicate with the NVIDIA driver"):
        installed_gpus()
    assert gpus_in_use({}) == []
    nvidia_smi.install(tmp_path / "bin", "No devices were found\n", exit_code=6)
    with pytest.raises(SettingsError, match=r"no NVIDIA GPU answers.*No devices were found"):
        installed_gpus()
    nvidia_smi.install(tmp_path / "bin", "", seconds=600)
    with pytest.raises(SettingsError, match=r"has said nothing for 0.2 s"):
        installed_gpus(seconds=0.2)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="nvidia-smi cannot be started"):
        installed_gpus()
    assert gpus_in_use({}) == []


@pytest.mark.parametrize("size", [0, -1, "2", True, 1.5, None])
def test_a_size_that_is_none_is_refused(size: float | str | None) -> None:
    with pytest.raises(SettingsError, match=r"engine argument 'tensor_parallel_size': .* is no whole number"):
        gpus_of_engine({"tensor_parallel_size": size})


def test_an_engine_takes_as_many_gpus_as_its_arguments_say() -> None:
    assert gpus_of_engine({}) == 1
    assert gpus_of_engine({"tensor_parallel_size": 4, "pipeline_parallel_size": 2}) == 8


def test_a_place_has_gpus_threads_and_a_port_of_its_own() -> None:
    gpus = parse(nvidia_smi.THREE)[0] * 2
    first, second, third = places(grouped(gpus, 2), cpus=12, environment={"PERSQA_METRICS_PORT": "9000"})
    assert [first.label, second.label, third.label] == ["gpu0+1", "gpu2+0", "gpu1+2"]
    assert second.environment == {
        "CUDA_VISIBLE_DEVICES": "2,0",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "OMP_NUM_THREADS": "2",
        "PERSQA_IMAGE_THREADS": "4",
        "PERSQA_METRICS_PORT": "9001",
    }


def test_threads_are_never_none_and_those_that_are_given_stay() -> None:
    groups = grouped(parse(nvidia_smi.THREE)[0], 1)
    assert places(groups, cpus=2, environment={})[0].environment["OMP_NUM_THREADS"] == "1"
    kept = places(groups, cpus=2, environment={"OMP_NUM_THREADS": "7", "PERSQA_IMAGE_THREADS": "9"})[0].environment
    assert not kept.keys() & {"OMP_NUM_THREADS", "PERSQA_IMAGE_THREADS", "PERSQA_METRICS_PORT"}


@pytest.mark.parametrize("port", ["http", "65534"])
def test_too_few_ports_are_refused(port: str) -> None:
    with pytest.raises(SettingsError, match="PERSQA_METRICS_PORT"):
        places(grouped(parse(nvidia_smi.THREE)[0], 1), cpus=2, environment={"PERSQA_METRICS_PORT": port})


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "350000 100000"}, 3.5),
        ("0::/\n", {"cpu.max": "max 100000"}, None),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000"}, 2.0),
        # As the machine sees it, and not mounted here.
        ("0::/docker/4f\n", {"cpu.max": "100000 100000"}, 1.0),
        ("4:cpu,cpuacct:/docker/4f\n", {"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "100000"}, 1.5),
        ("4:cpu,cpuacct:/\n0::/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("3:cpuset:/\n", {"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("", {}, None),
    ],
)
def test_a_container_may_use_fewer_cpus(
    tmp_path: Path, membership: str, files: dict[str, str], expected: float | None
) -> None:
    (tmp_path / "membership").write_text(membership)
    for name, text in files.items():
        file = tmp_path / "groups" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert cgroup_limit(tmp_path / "membership", tmp_path / "groups") == expected
    assert cgroup_limit(tmp_path / "missing", tmp_path / "groups") is None
    assert usable_cpus() >= 1
