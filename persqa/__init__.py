"""PersQA: a job queue that turns images into personalized question-answer pairs.

`from persqa import Client` is the front door. What is behind it lies in `producer`, which is found by name at run time,
since `persqa` imports nothing above itself; `__init__.pyi` is for type checkers.
"""

import os
import sys

# As in `worker`: as a program it takes no module from the working directory. As a library it leaves the path alone.
if sys.argv[:1] == ["-m"] and "persqa" in sys.orig_argv:
    try:
        _here = os.getcwd()  # noqa: PTH109 - not loaded yet
    except OSError:
        # The folder is gone, or belongs to another root than that of this process.
        _here = ""
    if _here not in (os.path.dirname(__path__[0]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)):  # noqa: PTH120
        sys.path[:] = [entry for entry in sys.path if entry not in ("", _here)]

_DOORS = ("AsyncClient", "Client", "OpenRun", "RunHandle")


def __getattr__(name: str) -> object:
    """Loads what is asked for: nobody waits for the client who only wants a setting."""
    if name == "__version__":
        from importlib import metadata

        return metadata.version("persqa")
    if name not in _DOORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from persqa.own_code import own_module

    return getattr(own_module("producer"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_DOORS, "__version__"])
