# Each target sets up what it needs. PYTHON=python3.13 make test chooses another interpreter.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help demo test check fix reference bench torture mutants walk wheel-test clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"dolittle needs Python 3.11 or newer, $(PYTHON) is {sys.version.split()[0]}: PYTHON=python3.12 make ...")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade "pip>=25.1"
	$(RUN) -m pip install --quiet --editable . --group dev
	@touch $@

demo: $(VENV)/.ready ## Make a microservice, run it, use it, tail and replay its events
	$(RUN) docs/demo.py --dolittle $(VENV)/bin/dolittle

test: $(VENV)/.ready ## Run all tests
	$(RUN) -m pytest -n auto --dist loadfile --durations=25

walk: COUNT = 10
walk: SEED = 1
walk: $(VENV)/.ready ## Walk at random through generated projects, 50 commands each; COUNT=10 SEED=1 EVERY=5
	$(RUN) -m tests.walk --count $(COUNT) --seed $(SEED) --every $(or $(EVERY),0) $(WALK)

check: $(VENV)/.ready ## Format, lint, import contracts, strict types
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(VENV)/bin/lint-imports --no-cache
	$(RUN) -m mypy
	$(RUN) -m mypy docs/cli_reference.py

fix: $(VENV)/.ready ## Format, and mend what lint can mend
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

reference: $(VENV)/.ready ## Make docs/reference/cli.md of the commands and of cli.source.md
	$(RUN) docs/cli_reference.py

bench: $(VENV)/.ready ## Measure, against floors and peers in the same run; BENCH="--quick --only read"
	$(RUN) -m benchmarks $(BENCH)

COUNT ?= 100000
SEED ?= 1
torture: $(VENV)/.ready ## Try to make the event store lose something; COUNT=1000000 SEED=1 ONLY=crashes
	$(RUN) -m tests.torture --count $(COUNT) --seed $(SEED) $(ONLY:%=--only %) $(TORTURE)

mutants: $(VENV)/.ready ## Change the event store's code a little: do the tests notice? MODULE=recovery LIMIT_S=600
	$(RUN) -m pip install --quiet --group mutants
	$(RUN) -m tests.mutants $(MODULE) $(LIMIT_S:%=--limit-s %) $(MUTANTS)

wheel-test: $(VENV)/.ready ## Build the wheel, install it into an empty environment, run the demo from there
	rm -rf dist build/wheel-venv
	$(RUN) -m pip wheel --quiet --no-deps --wheel-dir dist .
	$(PYTHON) -m venv build/wheel-venv
	build/wheel-venv/bin/python -m pip install --quiet dist/*.whl pytest
	build/wheel-venv/bin/python docs/demo.py --dolittle build/wheel-venv/bin/dolittle --into build/wheel-demo

clean: ## Remove what the targets made
	rm -rf $(VENV) build dist .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
