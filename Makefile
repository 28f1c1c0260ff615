PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test matrix numeric fuzz lint docs setup clean

# Draws flags, trains M3EL on them and shows what it can do.
demo: $(VENV)/ready
	$(BIN)/melder demo

# All tests, one process a core; OPTIONS are pytest's, such as OPTIONS="-k lexical".
test: $(VENV)/ready-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto $(OPTIONS)

# Everything under other instruction sets and numbers of threads: the better part of an hour on two cores.
matrix: $(VENV)/ready-dev
	$(BIN)/python tests/matrix.py

# What computes, under three of them.
numeric: $(VENV)/ready-dev
	$(BIN)/python tests/matrix.py --numeric avx2 "default, two threads" perturbed

# Other inputs each time, 20,000 a test: hours. OPTIONS as for test.
fuzz: $(VENV)/ready-dev
	OMP_NUM_THREADS=1 HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest -n auto tests/fuzz $(OPTIONS)

# Style, types, layers.
lint: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layers.py

# The documentation site, in build/docs: pages, search, API reference. Warnings, broken links between pages too, are errors.
docs: $(VENV)/ready-dev
	$(BIN)/python -m sphinx -b html --fail-on-warning --keep-going --quiet docs build/docs

setup: $(VENV)/ready-dev

clean:
	rm -rf $(VENV) build src/*.egg-info .pytest_cache .mypy_cache .ruff_cache

# PyTorch comes first and in this version: whatever is installed after it then uses it.
$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/ready-dev: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@
