# The words a developer types. `make` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
RUNS ?= 5000
SEED ?=

.PHONY: help demo setup test lint fix docs session bare sim bench check

help: ## list these words
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 10

demo: ## the main job, from a fresh checkout: environment, installation, forge to trace, approval included
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make demo PYTHON=python3.11")'
	@test -x $(VENV)/demo/bin/python || $(PYTHON) -m venv $(VENV)/demo
	@$(VENV)/demo/bin/python -m pip install --quiet --disable-pip-version-check .
	@PATH="$(CURDIR)/$(VENV)/demo/bin:$$PATH" sh ./demo.sh

setup: $(BIN)/.ready ## the environment with everything a developer needs

$(BIN)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make test PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

test: setup ## the whole suite; ARGS="tests/test_saga.py -k retry" for a part
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

lint: setup ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

fix: setup ## what ruff can mend by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup ## make the reference pages and the schemas again, and write into all pages what their commands print now
	$(BIN)/python docs/generate.py
	$(BIN)/python tests/documents.py README.md docs/*.md

session: ## record a new user's first ten minutes again, from a fresh installation
	$(PYTHON) docs/session.py

bare: ## install with the runtime dependencies only, into a new environment, and use it
	rm -rf $(VENV)/bare
	$(PYTHON) -m venv $(VENV)/bare
	$(VENV)/bare/bin/python -m pip install --quiet --disable-pip-version-check .
	cd $(VENV)/bare && ./bin/ritesmith --help >/dev/null && ./bin/ritesmith init --demo && ./bin/ritesmith run text.slugify --input '{"text": "It Works"}'

sim: setup ## long random runs and crashes; RUNS=20000 for more of them, SEED=123 RUNS=1 for one that failed
	RITESMITH_SIM_RUNS=$(RUNS) RITESMITH_SIM_SEED=$(SEED) $(BIN)/python -m pytest tests/test_saga_sim.py tests/test_crashes.py tests/test_bad_files.py tests/test_engine.py -k "random or killed or log" $(ARGS)

bench: setup ## the benchmarks; each prints its own table
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	for file in benchmarks/*.py; do $(BIN)/python $$file || exit 1; done

check: lint bare test ## what CI runs
