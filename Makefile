# Needs python3 (3.11 or newer), pip and make, nothing else. Everything that is installed goes to .venv.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
PYTEST_WORKERS ?= 2
PYTEST_ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet

# pyright comes complete from PyPI; do not ask the network whether there is a newer one.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: help venv install install-dev demo test soak nemesis lint format bench services services-stop clean

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

venv: $(VENV)/.made ## Make an empty .venv

install: $(VENV)/.installed ## Install diptych into .venv, running from this checkout

install-dev: $(VENV)/.installed-dev ## The same, with everything that `make test` needs

demo: install ## Run the shop on 240,007 real order lines (ARGS=--json for programs)
	@$(BIN)/diptych demo $(ARGS)

# Servers that are up stay up, ours end with the tests. Where they cannot start, the tests say what
# did not run; DIPTYCH_REQUIRE makes that a failure.
test: lint ## Check and test everything, on real servers where they can be started
	@echo "==> services" >&2
	@trap 'exit 130' INT; trap 'exit 143' TERM; \
	if ! $(BIN)/python -m services status >/dev/null 2>&1; then \
	  trap '$(BIN)/python -m services down' EXIT; \
	  $(BIN)/python -m services up || echo "Testing without them" >&2; \
	fi; \
	echo "==> pytest" >&2; \
	$(BIN)/pytest -n $(PYTEST_WORKERS) $(PYTEST_ARGS)

soak: install-dev ## Simulate 100,000 worlds, until one breaks a promise (ARGS="SEED --soak NUMBER")
	@$(BIN)/python -m diptych.testing.simulation $(or $(ARGS),0 --soak 100000) --jobs $(PYTEST_WORKERS)
	@DIPTYCH_EXAMPLES=2000 $(BIN)/pytest -n $(PYTEST_WORKERS) --timeout 7200 tests/simulation/test_model_on_*.py
	@$(BIN)/python -m tests.mutation

nemesis: install-dev ## Torment real processes on real stores (ARGS="--store sqlite --seconds 3600")
	@$(BIN)/python -m tests.nemesis run $(ARGS)

lint: install-dev ## Style, types, direction of imports
	@echo "==> ruff" >&2
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "==> mypy" >&2
	@$(BIN)/mypy
	@echo "==> pyright (what users see)" >&2
	@$(BIN)/pyright --pythonpath $(BIN)/python
	@echo "==> import-linter" >&2
	@$(BIN)/lint-imports

format: install-dev ## Format the code and repair what can be repaired
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

bench: install-dev benchmarks/.peers/.installed ## Measure against floors and peers (ARGS: names, --quick, ...)
	@$(BIN)/python -m benchmarks $(ARGS)

# The peers have an environment of their own: they are nobody's dependency.
benchmarks/.peers/.installed: benchmarks/peers/requirements.txt
	@echo "Installing the peers to measure against" >&2
	@$(BIN)/python -m benchmarks.peers.install
	@touch $@

services: $(VENV)/.made ## Start real servers for tests and benchmarks; addresses in .services/
	@$(BIN)/python -m services up

services-stop: ## Stop them and remove their data
	@if [ -e .services/addresses.json ] && [ -x $(BIN)/python ]; then $(BIN)/python -m services down; fi

clean: services-stop ## Remove .venv, demo databases and everything else that was made
	@rm -f shop-demo*.db shop-demo*.db-wal shop-demo*.db-shm
	@rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .services
	@find src examples services tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# Stamps: what is done stays done until pyproject.toml changes. Notes go to stderr, so that
# `make demo ARGS=--json` prints nothing but JSON.

# Debian keeps ensurepip in python3-venv. Without it, the pip of the system installs into .venv
# through a two-line $(BIN)/pip, and no other rule has to know.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "diptych needs Python 3.11 or newer as $(PYTHON); say another with: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Making $(VENV)" >&2
	@if ! $(PYTHON) -m venv --clear $(VENV) >/dev/null 2>&1; then \
	  $(PYTHON) -m venv --clear --without-pip $(VENV) && \
	  $(PYTHON) -m pip --python $(BIN)/python --version >/dev/null 2>&1 || \
	  { echo "Cannot make $(VENV): install python3-venv, or pip 22.3 or newer" \
	         "(Debian, Ubuntu: apt install python3-venv)." >&2; exit 1; }; \
	  printf '#!/bin/sh\nexec "%s" -m pip --python "%s" "$$@"\n' \
	    "$$(command -v $(PYTHON))" "$(abspath $(BIN))/python" > $(BIN)/pip && chmod +x $(BIN)/pip; \
	fi
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.made
	@echo "Installing diptych" >&2
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.made
	@echo "Installing diptych and its development tools" >&2
	@$(PIP) install --editable '.[dev]'
	@touch $(VENV)/.installed $@
