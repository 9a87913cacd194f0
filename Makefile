# Needs make and a Python of at least 3.11 with the venv module; everything else is installed into .venv.
# `make demo` shows the library at work, `make test` runs every check. PYTHON=/path/to/python3 names another
# interpreter for a new .venv.

VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?= -n auto --maxprocesses 4 --randomly-seed=3912926674
CANDIDATES := python3 python python3.14 python3.13 python3.12 python3.11

# One failing check does not hide what the others have to say; make still ends with an error.
MAKEFLAGS += --keep-going
.NOTPARALLEL:

.PHONY: demo test frameworks unit lint lint-rules lint-format lint-types format docs bench clean

demo: $(VENV)/.installed
	$(BIN)/mlops-kit demo

test: lint unit # the docs build, the notebooks, the doctests and the floors are pytest tests

frameworks: $(VENV)/.installed-dev # the tests of torch, catboost and lightgbm are skipped without them
	$(BIN)/python -m pip install --quiet --group frameworks

unit: $(VENV)/.installed-dev
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: lint-rules lint-format lint-types

lint-rules: $(VENV)/.installed-dev
	$(BIN)/ruff check

lint-format: $(VENV)/.installed-dev
	$(BIN)/ruff format --check

lint-types: $(VENV)/.installed-dev
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(VENV)/.installed-dev
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

bench: $(VENV)/.installed-dev
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

clean:
	rm -rf $(VENV) demo build dist docs/_build docs/reference/generated .cache .hypothesis
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find src tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are as old as the last installation: a changed pyproject.toml installs again, nothing else does.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "Installing mlops_kit into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	@echo "Installing mlops_kit and what its tests need into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@ $(VENV)/.installed

$(BIN)/python:
	@for candidate in $(or $(PYTHON),$(CANDIDATES)); do \
	    if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	        found="$$candidate"; break; \
	    fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo "mlops_kit needs Python 3.11 or newer. Tried, in this order: $(or $(PYTHON),$(CANDIDATES))." >&2; \
	    echo "Install one (https://www.python.org/downloads/, or your system's package python3), or name" >&2; \
	    echo "one that you have: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
	    exit 1; \
	fi; \
	if ! "$$found" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
	    echo "$$found cannot make a virtual environment: its venv or ensurepip module is missing." >&2; \
	    echo "On Debian and Ubuntu: apt-get install python3-venv" >&2; \
	    exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$found" --version) ..."; \
	"$$found" -m venv --clear $(VENV) && \
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1' || { rm -rf $(VENV); exit 1; }
