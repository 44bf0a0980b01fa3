# Two commands are enough: `make demo` to see it, `make test` to trust it.  Nothing has to be activated.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: demo test check bench torture format lock clean servers

VENV := .venv
PY := $(VENV)/bin/python
# Runs every command below without the user's own Python settings leaking in.
export PYTHONNOUSERSITE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# One more than cores: many tests wait, for a lease, a restart, a server of their own.
PYTEST_WORKERS ?= $(shell expr $$(nproc 2>/dev/null || sysctl -n hw.ncpu) + 1)

demo: $(VENV)/.runtime
	$(VENV)/bin/carom demo $(DEMO)

test: $(VENV)/.dev servers
	$(PY) -m pytest -n $(PYTEST_WORKERS) --dist loadgroup $(TEST); status=$$?; \
	$(if $(PYTEST_STATUS),echo $$status >'$(PYTEST_STATUS)';) exit $$status

check: $(VENV)/.dev
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

format: $(VENV)/.dev
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

bench: $(VENV)/.dev
	$(VENV)/bin/carom bench all

# The checks of docs/torture.md in their full form: most of an hour, and the table from what was seen.
torture: $(VENV)/.dev servers
	$(PY) -m tests.faults $(TORTURE)

# Real mail servers for the tests, where we may install them (root on Debian); elsewhere their
# tests are skipped by name.
servers:
	@.ci/servers

lock: $(VENV)/.dev
	.ci/lock

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	.ci/venv $(VENV)

$(VENV)/.runtime: requirements.txt pyproject.toml | $(VENV)/bin/python
	$(PY) -m pip install --quiet --require-hashes -r requirements.txt
	$(PY) -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	$(PY) -m pip install --quiet --require-hashes -r requirements-dev.txt
	@touch $@
