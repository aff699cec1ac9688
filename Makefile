# make run    sets everything up and answers the questions of examples/
# make test   sets everything up and passes every check and test; a quarter of an hour on two cores

SHELL := /bin/sh
BIN := .venv/bin
CODE := persqa producer worker tests scripts benchmarks

# Tests and examples need no model hub; vLLM must not look for one.
export HF_HUB_OFFLINE = 1

# Some hundred processes of a test run load the code: what Python makes of it is kept, whatever the environment says.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help setup run test check style types imports limits collected measure chaos soak bench versions long unit lock docs demo-model clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

setup: .venv/installed

.venv/installed: pyproject.toml requirements/cpu.txt scripts/setup.sh
	@scripts/setup.sh

run: setup
	@$(BIN)/persqa run examples/portraits.jsonl

# More processes than cores, as most of them wait most of the time: for servers, leases and clocks.
test: check
	$(BIN)/pytest -n 6 --dist loadgroup -m "not benchmark and not long"

# make check  everything of `make test` that takes seconds
check: setup
	@$(MAKE) --no-print-directory --jobs 5 style types imports limits collected

style:
	$(BIN)/ruff format --check --quiet $(CODE)
	$(BIN)/ruff check --quiet $(CODE)

types:
	$(BIN)/pyrefly check --progress-bar no

imports:
	$(BIN)/lint-imports --no-logo

limits:
	$(BIN)/python scripts/limits.py $(CODE)

# Every test can be loaded. What pytest makes of the modules is kept for its processes, each of which would take long.
collected:
	$(BIN)/pytest --collect-only --quiet --quiet >/dev/null

# make measure  the short forms of the benchmarks, which fail on a collapse; four minutes on a machine that does nothing else
measure: setup
	$(BIN)/pytest -m benchmark

# make chaos  the tests of whole systems on each site, and their faults in full number and length; about an hour
chaos: setup
	$(BIN)/pytest -n 5 --dist loadgroup --chaos --timeout 3600 -m "not benchmark and not long" tests/faults tests/topology \
		tests/end_to_end tests/integration -rA

# make soak   half an hour of random faults; SOAK_MINUTES=5 for less
soak: setup
	$(BIN)/pytest --soak --timeout 7200 tests/faults/test_soak.py -rA

# make bench  how near the fleet comes to its engine, and what a large run costs; about an hour
bench: setup
	@$(BIN)/python -m benchmarks

# make versions  the tests of the engine with the oldest and the newest vLLM that pyproject.toml admits; half an hour, 5 GB
versions: setup
	@scripts/versions.sh

# make unit   the tests without a server and without vLLM, but for those of programs and whole files; a minute
unit: setup
	$(BIN)/pytest -n 3 -m "not long and not benchmark" tests/unit

# make long   every reader at a million rows, exports of more than 2 GiB; half an hour and 8 GB of disk for temporary files
long: setup
	$(BIN)/pytest -m long --timeout 3600 tests/integration -rA

# make lock   pins anew what is installed where there is no GPU
lock: setup
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --no-annotate --no-emit-index-url \
		--no-emit-find-links --custom-compile-command 'make lock' --override requirements/overrides.txt \
		--extra data --extra dev --extra ui requirements/cpu.in pyproject.toml --output-file requirements/cpu.txt

# make docs   writes docs/settings.md, docs/cli.md, the tables of docs/metrics.md and docs/quality.md, and the types of
#             AsyncClient anew, from the code itself
docs: setup
	$(BIN)/python scripts/settings_docs.py
	$(BIN)/python -m scripts.metrics_docs
	$(BIN)/python -m scripts.cli_docs
	$(BIN)/python -m scripts.quality_docs
	$(BIN)/python -m scripts.async_stub

# make demo-model  trains worker/engines/demo_model anew; about an hour on two cores
demo-model: setup
	$(BIN)/python -m scripts.demo_model --out worker/engines/demo_model

# make clean  removes .venv and what a run leaves in this folder
clean:
	rm -rf .venv persqa.db persqa.db-wal persqa.db-shm persqa-worker.log persqa-blobs
