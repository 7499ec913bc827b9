# Every target sets itself up: a virtual environment and the installation, without root.
# Nothing needs make: the README gives each target as one plain command.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --disable-pip-version-check --quiet -c constraints.txt

.PHONY: demo tools test test-long bench check clean

demo: $(VENV)/.user
	$(BIN)/spikepress demo --output runs/demo

# Cross compilers and emulators that pip does not bring; as root, from apt.
tools:
	bash .ci/tools

# Two workers, one thread each: more threads than cores make the suite slower, not faster.
test: $(VENV)/.dev check
	OMP_NUM_THREADS=1 SPIKEPRESS_COUNT_TIERS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not long"

test-long: $(VENV)/.dev
	$(BIN)/python -m pytest -m long

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/.created:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.user: $(VENV)/.created setup.cfg constraints.txt
	$(INSTALL) -e ".[train,onnx,report]"
	touch $@

$(VENV)/.dev: $(VENV)/.created setup.cfg constraints.txt
	$(INSTALL) -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
