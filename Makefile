PYTHON ?= python3
BIN := .venv/bin

.DELETE_ON_ERROR:
.PHONY: demo test test-all check bench

demo: .venv/.installed
	$(BIN)/contrasweep demo

test: .venv/.installed
	$(BIN)/pytest

test-all: .venv/.installed
	$(BIN)/pytest -m ""

check: .venv/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/.installed
	@set -e; for bench in tests/benchmarks/bench_*.py; do echo "== $$bench"; PYTHONPATH=. $(BIN)/python $$bench; done

.venv/.installed: pyproject.toml
	@python=$(PYTHON); if [ -x $(BIN)/python ]; then python=$(BIN)/python; fi; \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	{ echo "error: contrasweep needs Python 3.11 or newer, and $$python is not: choose one with make PYTHON=/path/to/python3.11 (and remove an older .venv)" >&2; exit 2; }
	@[ -x $(BIN)/python ] && $(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --editable '.[dev]'
	@touch $@
