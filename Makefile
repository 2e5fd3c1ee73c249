# `make help` lists what can be done. Nothing is needed beforehand but Python 3.11 or newer;
# the tests on a real Kafka need Java 17 and Maven too, and are skipped without them.

PYTHON ?= python3
ARGS ?=
RUNS ?= 1
FIRST ?= 0
TOPOLOGY ?= both
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast check properties simulation sabotage fuzz bench chaos schemas lock clean

help:  ## List the commands.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/.development  ## Make the virtual environment with all tools of development (done once).

demo: $(VENV)/.runtime  ## Run the demo, for example: make demo ARGS="--seconds 30 --json"
	@$(BIN)/segmenter demo $(ARGS)

test: setup  ## Run every test; those on a real Kafka need Java 17 and Maven.
	$(BIN)/pytest $(ARGS)

test-fast: setup  ## Run the tests that need neither Kafka nor patience (90 s at most).
	$(BIN)/pytest -m "not slow and not kafka" $(ARGS)

check: setup  ## Check style, types, layers, shape and generated files.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/segmenter schemas check
	$(BIN)/pytest -q tests/project

properties: setup  ## Hold random rulebooks and histories against the naive model: make properties CASES=200000
	CASES=$(or $(CASES),20000) $(BIN)/pytest --timeout=0 tests/properties/test_segments.py $(ARGS)

fuzz: setup  ## Send hostile input to the decoder, the path and the scripts: make fuzz N=1000000 FIRST=1
	$(BIN)/python -m tests.fuzz $(or $(N),1000000) $(FIRST)

simulation: setup  ## Play simulated worlds full of faults: make simulation SEEDS=2000 FIRST=0
	@$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),100) --first $(or $(FIRST),0) $(ARGS)

sabotage: setup  ## Take every guard away in turn, and find a simulated world that notices.
	@$(BIN)/python -m tests.simulation.sabotage $(ARGS)

bench: setup  ## Measure throughput, latency and memory on a real Kafka and Redis.
	$(BIN)/python -m benchmarks $(ARGS)

chaos: setup  ## Break real servers under load: make chaos RUNS=5 FIRST=0 TOPOLOGY=sentinel|cluster|both
	$(BIN)/python -m tests.chaos --runs $(RUNS) --first $(FIRST) --topology $(TOPOLOGY) $(ARGS)

schemas: setup  ## Write schemas/ anew from the types.
	$(BIN)/segmenter schemas write

lock: COMPILE = $(UV) pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --quiet
lock:  ## Resolve the dependencies anew into the two lock files (needs uv).
	$(COMPILE) --group dev --group build -o requirements.lock
	$(COMPILE) --group build --constraint requirements.lock -o requirements-run.lock

clean:  ## Remove the virtual environment and everything cached.
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist

# The project itself is installed without build isolation: its build backend is in the lock, with a hash.
ifeq ($(UV),)
INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check
else
# pip compiles what it installs by itself; without that, a worker takes two seconds longer to start.
INSTALL = VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --compile-bytecode
endif

$(VENV)/.runtime: requirements-run.lock pyproject.toml | $(BIN)/python
	$(INSTALL) --require-hashes -r requirements-run.lock
	$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.development: requirements.lock $(VENV)/.runtime
	$(INSTALL) --require-hashes -r requirements.lock
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "segmenter needs Python 3.11 or newer; name one with: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
		|| { echo "this Python cannot make virtual environments; on Debian: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
