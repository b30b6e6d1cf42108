# make run, make test: on a machine with python3 (3.11 or newer), its venv module, and make. See README.md.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PORT ?= 3020
# make test TESTS="tests.test_registry tests.web"
TESTS ?=

.PHONY: run test style types bench docs conformance conformance-quick clean

run: $(VENV)/installed
	$(BIN)/twistd --pidfile= -n wsservice --port $(PORT) --dev

test: $(VENV)/installed-dev
	$(BIN)/python -m tools.run_tests $(TESTS)

style: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-dev
	$(BIN)/mypy --strict wsservice

bench: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks.idle_memory

docs: $(VENV)/installed-dev
	$(BIN)/python -m tools.make_docs

conformance: $(VENV)/installed-dev
	$(BIN)/python -m tests.conformance.run

conformance-quick: $(VENV)/installed-dev
	$(BIN)/python -m tests.conformance.run --quick

$(BIN)/python:
	$(PYTHON) -m venv $(VENV) || { echo "No venv module: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }

$(VENV)/installed: setup.py pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-dev: setup.py pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) build dist *.egg-info _trial_temp* .coverage* .mypy_cache .ruff_cache .hypothesis
