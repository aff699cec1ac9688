"""CPUs: how many this process may use, which may be fewer than the machine has."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_MEMBERSHIP = Path("/proc/self/cgroup")
_CGROUPS = Path("/sys/fs/cgroup")


def usable_cpus() -> int:
    """How many CPUs this process may use, as its affinity and its control groups allow; at least 1."""
    allowed = len(os.sched_getaffinity(0))
    limit = cgroup_limit(_MEMBERSHIP, _CGROUPS)
    return max(1, allowed if limit is None else min(allowed, int(limit)))


def cgroup_limit(membership: Path, cgroups: Path) -> float | None:
    """The smallest limit of this process's control groups, in CPUs; None without a limit.

    Limits of outer groups count, too. In a container the path may be the machine's while the group is mounted as the
    root. So this reads all folders from the path up.

    Args:
        membership: a file with the line `0::/path` (version 2), or lines such as `4:cpu,cpuacct:/path` (version 1).
        cgroups: where the groups are mounted.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    limits: list[float] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = cgroups / "cpu" if controllers else cgroups
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(top):
                break
            limits.extend(_limits(folder))
    return min(limits, default=None)


def _limits(folder: Path) -> list[float]:
    # The values "max" and -1, and a missing file, mean no limit.
    with suppress(OSError, ValueError):
        quota, period = (folder / "cpu.max").read_text().split()
        return [int(quota) / int(period)]
    with suppress(OSError, ValueError):
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        return [quota / int((folder / "cpu.cfs_period_us").read_text())] if quota > 0 else []
    return []
