"""How many CPUs this process may use; a container may use fewer than its machine has."""

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
    """The smallest limit of this process's control groups, in CPUs; None where there is none.

    Inside a container the group may be named as the machine sees it, and be mounted as the root: so all folders from
    there up are looked at, as limits of outer groups hold, too.

    Args:
        membership: of version 2 the line `0::/path`, of version 1 lines such as `4:cpu,cpuacct:/path`.
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
    # A limit that is "max", -1 or missing is none.
    with suppress(OSError, ValueError):
        quota, period = (folder / "cpu.max").read_text().split()
        return [int(quota) / int(period)]
    with suppress(OSError, ValueError):
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        return [quota / int((folder / "cpu.cfs_period_us").read_text())] if quota > 0 else []
    return []
