"""What is said of an image where memory is short; a program, since memory that was used before would do again."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import subprocess
import sys
from collections import Counter
from enum import IntEnum
from pathlib import Path

from persqa.bad_images import BadContent
from persqa.errors import Rejected
from persqa.images.decoding import decode

_ROOT = Path(__file__).parents[2]
_STEP_BYTES = 1024 * 1024


class Said(IntEnum):
    """What becomes of an image."""

    DECODED = 1
    OTHERWISE = 2  #: decoded to other pixels
    REFUSED = 3
    REMEMBERED = 4  #: refused, and remembered as broken
    UNFORESEEN = 5


def said_of(file: Path, pixels: bytes) -> Counter[Said]:
    """What is said of an image with ever more memory, until it is decoded to these pixels."""
    command = [sys.executable, "-m", __name__, str(file), hashlib.sha256(pixels).hexdigest()]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Counter(Said[name] for name in done.stdout.split())


def _main(file: str, digest: str) -> None:
    data, said, spare = Path(file).read_bytes(), None, 0
    while said is not Said.DECODED:
        if (child := os.fork()) == 0:
            os._exit(_with(spare, data, digest))
        spare += _STEP_BYTES
        # The system kills whose stack it cannot let grow, which says nothing of the image.
        if (code := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])) != -signal.SIGSEGV:
            said = Said(code)
            print(said.name)


def _with(spare: int, data: bytes, digest: str) -> Said:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + spare
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    try:
        image = decode(data, max_pixels=10**7)
    except BadContent:
        return Said.REMEMBERED
    except Rejected:
        return Said.REFUSED
    except BaseException:  # noqa: BLE001 - what this is about
        return Said.UNFORESEEN
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return Said.DECODED if hashlib.sha256(image.tobytes()).hexdigest() == digest else Said.OTHERWISE


if __name__ == "__main__":
    _main(*sys.argv[1:])
