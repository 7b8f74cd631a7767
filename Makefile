# Everything a developer or CI runs. `make demo` and `make test` need only Python 3.11+, pip and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
INSTALL := $(UV) pip install --quiet --python $(BIN)/python -c constraints.txt
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
# espeak-ng speaks, sox and ffmpeg (whose libraries torchcodec loads) make and read media, chromium opens web pages.
SYSTEM_PACKAGES := chromium espeak-ng ffmpeg sox
# Two processes of one thread each: small models gain nothing from a second thread. Each takes 3 GB; JOBS=4 for more.
JOBS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest
PARALLEL := $(PYTEST) --numprocesses $(JOBS) --dist loadfile

.PHONY: help demo test test-all fuzz bench bench-gpu check fix docs system install install-dev

help:
	@echo "make demo         rank the demo documents with the model that ships in the package"
	@echo "make test         run the tests (10 minutes at most)"
	@echo "make test-all     run them and the slow tests (45 minutes at most)"
	@echo "make fuzz         read 50,000 damaged files; N=1000 for fewer"
	@echo "make bench        run the benchmarks side by side with the peer (an hour)"
	@echo "make bench-gpu    the same on a GPU, with published sizes"
	@echo "make check        format, lint, types, import order: what CI asks"
	@echo "make fix          let the formatter and linter repair what they can"
	@echo "make docs         write docs/families.md from processors/"
	@echo "make system       install FFmpeg, Chromium, espeak-ng and SoX (Debian, needs root)"
	@echo "make install      make .venv with mmrerank in it; install-dev adds the tools"

demo: install
	$(BIN)/mmrerank demo

test: install-dev
	$(PARALLEL)

# What needs the internet or an accelerator stays out: neither is there on every machine. Fuzzing makes processes of its own
# and bounds their seconds. The last line is what somebody without torchcodec has.
test-all: test
	$(PARALLEL) -m "slow and not network and not gpu" --ignore tests/fuzzing
	$(PYTEST) -m "slow and not network and not gpu" tests/fuzzing
	$(PARALLEL) --hide-torchcodec tests/media tests/cross_encoder tests/test_embedded_model.py

N ?= 50000
fuzz: install-dev
	$(BIN)/python -m tests.fuzzing.run --cases $(N)

bench: install-dev
	$(BIN)/python -m benchmarks.loading --json benchmarks/results/loading.json
	$(BIN)/python -m benchmarks.growth --json benchmarks/results/growth.json
	$(BIN)/python -m benchmarks.training --json benchmarks/results/training.json
	test -d .venv-openvino || { $(UV) venv --quiet .venv-openvino && \
		$(UV) pip install --quiet --python .venv-openvino "sentence-transformers[openvino]==6.2.0"; }
	$(BIN)/python -m benchmarks.vs_peer --json benchmarks/results/vs_peer.json; \
		missed=$$?; $(BIN)/python -m benchmarks.plot && exit $$missed

bench-gpu: install-dev
	$(BIN)/python -m benchmarks.gpu --json benchmarks/results/gpu.json

check: install-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest --quiet tests/test_layers.py

fix: install-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: install-dev
	$(BIN)/mmrerank processors --markdown > docs/families.md.new && mv docs/families.md.new docs/families.md

system:
	$(SUDO) apt-get update -q
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(SYSTEM_PACKAGES)

install: $(VENV)/.installed

install-dev: $(VENV)/.installed-dev

# Stamp files: each step runs once, and again when the project's metadata or the pins change.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: the pinned environment needs Python 3.11 or newer; try make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(UV): | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt uv

$(VENV)/.installed: pyproject.toml constraints.txt | $(UV)
	$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(UV)
	$(INSTALL) -e '.[dev]'
	@touch $@ $(VENV)/.installed
