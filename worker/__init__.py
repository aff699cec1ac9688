"""The second program: claims items from the queue and answers them."""

import os
import sys

# `python -m worker` looks for modules in the working directory first, and there is somebody's data. This comes before
# all other imports, and needs none that Python has not made. What PYTHONPATH names, and our own sources, is code.
if sys.argv[:1] == ["-m"] and any(argument.startswith("worker") for argument in sys.orig_argv):
    try:
        _here = os.getcwd()  # noqa: PTH109 - not loaded yet
    except OSError:
        # The folder is gone, or belongs to another root than that of this process.
        _here = ""
    if _here not in (os.path.dirname(__path__[0]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)):  # noqa: PTH120
        sys.path[:] = [entry for entry in sys.path if entry not in ("", _here)]
