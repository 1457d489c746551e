PYTHON ?= python3
BIN := .venv/bin
# Two processes test at once, with one thread each.
TEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# uv does not read pip's configuration: where pip is told of more sources of packages, and uv is not, pip installs.
define install
@if command -v uv >/dev/null && { env | grep -q '^UV_' || ! $(BIN)/python -m pip config list | grep -Eq 'index-url|find-links'; }; \
then uv pip install --python $(BIN)/python $(1); else $(BIN)/python -m pip install $(1); fi
endef

.DELETE_ON_ERROR:
.PHONY: demo test test-all chaos check bench

demo: .venv/.installed
	$(BIN)/contrasweep demo

test: .venv/.installed-dev
	$(TEST)

test-all: .venv/.installed-dev
	$(TEST) -m ""

chaos: .venv/.installed-dev
	$(TEST) -m chaos tests/chaos

check: .venv/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/deptry .
	$(BIN)/mypy

bench: .venv/.installed-dev
	@set -e; for bench in tests/benchmarks/bench_*.py; do echo "== $$bench"; PYTHONPATH=.packages:. $(BIN)/python $$bench; done

.venv/.made:
	@python=$(PYTHON); if [ -x $(BIN)/python ]; then python=$(BIN)/python; fi; \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	{ echo "error: contrasweep needs Python 3.11 or newer, and $$python is not: choose one with make PYTHON=/path/to/python3.11 (and remove an older .venv)" >&2; exit 2; }
	@[ -x $(BIN)/python ] && $(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv
	@touch $@

.venv/.installed: pyproject.toml | .venv/.made
	$(call install,--editable .)
	@touch $@

.venv/.installed-dev: pyproject.toml | .venv/.made
	$(call install,--editable '.[dev]')
	@touch $@ .venv/.installed
