"""A program named nvidia-smi that prints what the real one has been seen to print."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: A driver of the 535 line and later, three GPUs of a machine.
THREE = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-7f57f032-34ab-a064-c37c-7a4f75601cc5)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-8c7c9c30-f12f-20bf-e14e-d3c4c965af32)
GPU 2: NVIDIA L4 (UUID: GPU-8c7c55aa-0b1d-7e4f-91d2-0d0a5ba9c0de)
"""
#: One cut into parts beside a whole one.
PARTS = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-7f57f032-34ab-a064-c37c-7a4f75601cc5)
  MIG 2g.20gb     Device  0: (UUID: MIG-377e0049-554c-540b-93c6-d0976f8426cb)
  MIG 1g.10gb     Device  1: (UUID: MIG-f39aa248-6f1b-5769-b119-8d650bb34b27)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-8c7c9c30-f12f-20bf-e14e-d3c4c965af32)
"""
#: A driver of the 450 line: no maker before the name, other UUIDs of parts, one space less.
OLD = """\
GPU 0: A100-SXM4-40GB (UUID: GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f)
  MIG 1g.5gb Device 0: (UUID: MIG-GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f/7/0)
GPU 1: Tesla V100-SXM2-16GB (UUID: GPU-d1e2f3a4-0b1d-7e4f-91d2-0d0a5ba9c0de)
"""
#: One of two fell off the bus.
LOST = """\
Unable to determine the device handle for gpu 0000:06:00.0: GPU is lost.  Reboot the system to recover this GPU
GPU 1: NVIDIA L4 (UUID: GPU-8c7c55aa-0b1d-7e4f-91d2-0d0a5ba9c0de)
"""
NO_DRIVER = """\
NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver \
is installed and running.
"""


def install(folder: Path, text: str, *, exit_code: int = 0, seconds: float = 0) -> str:
    """Write it to a folder; returns a `PATH` on which it comes first.

    Args:
        folder: new, or with an older one.
        text: what it prints.
        exit_code: how it ends.
        seconds: how long it takes.
    """
    folder.mkdir(exist_ok=True)
    program = folder / "nvidia-smi"
    wait = f"exec sleep {seconds}\n" if seconds else ""
    # As the real one, it knows `-L` only in this spelling here.
    program.write_text(f'#!/bin/sh\n{wait}[ "$1" = -L ] || exit 64\nprintf %s {shlex.quote(text)}\nexit {exit_code}\n')
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"
