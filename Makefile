# make sim    compile the bundled model, generate its Verilog, run it on held-out data, compare
# make test   every test        make soak   the same checks at full length
# make bench  the measurements  make lint   style and types
#
# Every target makes what it needs in .venv; nothing else on the machine is touched.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
MODEL  ?=
DATA   ?=
export OMP_NUM_THREADS ?= 1        # more threads make small matrices slower
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: sim test soak bench lint clean

$(VENV)/hw.stamp: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[hw]'
	@touch $@

$(VENV)/dev.stamp: $(VENV)/hw.stamp
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps 'aeon==1.6.*'  # a recorded data set lies in its wheel; its own needs are 400 MB
	@touch $@

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n 2 -m 'not soak'

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

clean:
	rm -rf build
