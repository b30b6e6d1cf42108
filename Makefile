# make run, make test: on a machine with python3 (3.11 or newer), its venv module, and make. See README.md.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 3020
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# make test TESTS="tests.test_registry tests.web"
TESTS ?=
# make run ARGS="--log-level debug"
ARGS ?=

.PHONY: run test style types bench docs conformance conformance-quick socketio-suites fuzz soak cluster-load packages systemd clean

run: $(VENV)/run.stamp
	$(BIN)/twistd --pidfile= -n wsservice --port $(PORT) --dev $(ARGS)

test: $(VENV)/test.stamp
	$(BIN)/python -m tools.run_tests $(TESTS)

style: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp
	$(BIN)/mypy

# Against the peers (benchmarks/README.md): make bench ROUNDS=3 ROWS="echo 'Socket.IO: echo'"
ROUNDS ?= 5
ROWS ?=
bench: $(VENV)/bench.stamp
	$(BIN)/python -m benchmarks.compare --rounds $(ROUNDS) --json bench.json $(ROWS)

docs: $(VENV)/run.stamp
	$(BIN)/python -m tools.make_docs

conformance: $(VENV)/test.stamp
	$(BIN)/python -m tests.conformance.run

conformance-quick: $(VENV)/test.stamp
	$(BIN)/python -m tests.conformance.run --quick

# Every parser against mutated input (fuzz/README.md): make fuzz INPUTS=1000000 TARGETS="handshake port" SEED=7
INPUTS ?= 100000
TARGETS ?=
SEED ?= 1
fuzz: $(VENV)/test.stamp
	nice -n 10 $(BIN)/python -m fuzz.run --inputs $(INPUTS) --seed $(SEED) $(TARGETS)

# A crowd of clients for minutes: nothing may be lost, nothing may leak (docs/reliability.md)
MINUTES ?= 10
CONNECTIONS ?= 2000
soak: $(VENV)/test.stamp
	$(BIN)/python -m soak.run --minutes $(MINUTES) --connections $(CONNECTIONS) --json soak.json

# A thousand clients on two nodes, of which one is killed, or Redis is for ten seconds (docs/reliability.md)
cluster-load: $(VENV)/test.stamp
	WSSERVICE_CLUSTER_FIGURES=1 $(BIN)/python -m twisted.trial tests.integration.test_cluster_crowd

# The units of deploy/systemd under a real systemd, in a container (as root; docs/deployment.md)
systemd: $(VENV)/test.stamp
	$(BIN)/python -m tests.systemd.run
	$(BIN)/python -m tests.systemd.walk

# The official protocol suites: make socketio-suites SUITES=<a checkout of github.com/socketio/socket.io>
SUITES ?=
socketio-suites: $(VENV)/test.stamp
	@test -n "$(SUITES)" || { echo "make: name a checkout: make socketio-suites SUITES=../socket.io" >&2; exit 1; }
	$(BIN)/python -m tests.suites.run $(SUITES)

# The wheel and the sdist, in clean environments on each Python that is there: make packages PYTHONS="python3.12"
PYTHONS ?=
packages: $(VENV)/dev.stamp
	$(BIN)/python -m tools.check_packages $(PYTHONS)

clean:
	rm -rf $(VENV) build dist *.egg-info _trial_temp* .coverage .coverage.* .mypy_cache .ruff_cache .hypothesis
	rm -rf conformance-report twisted/plugins/dropin.cache
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON); apt-get install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: wsservice needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version);" >&2; \
	  echo "name another one, as in: make PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "make: $(PYTHON) cannot make virtual environments; apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Each stamp stands for an environment with one more extra in it.
$(VENV)/run.stamp: setup.py pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) -e .
	@touch $@

$(VENV)/test.stamp: setup.py pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) -e '.[test]'
	@touch $@ $(VENV)/run.stamp

$(VENV)/bench.stamp: setup.py pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) -e '.[bench]'
	@touch $@ $(VENV)/test.stamp $(VENV)/run.stamp

$(VENV)/dev.stamp: setup.py pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) -e '.[dev]'
	@touch $@ $(VENV)/test.stamp $(VENV)/run.stamp
