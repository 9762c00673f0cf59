# Two commands of the README, `make demo` and `make test`, need nothing but Python 3.11+, make and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# tensorflow-cpu by default; TENSORFLOW=cuda brings the CUDA libraries.
TENSORFLOW ?= cpu
DEMO := demo

.PHONY: help setup demo docs test lint types imports cluster-tests cluster-demo images constraints clean

help:
	@echo "make demo          phantom data, a search of 192 folds on this machine, tables, figures and a report"
	@echo "make test          all tests that need no cluster"
	@echo "make lint types imports   the other checks of .ci/run"
	@echo "make docs          the docs as a site in build/site"
	@echo "make cluster-tests tests against the cluster of KUBECONFIG and the S3 server of AWS_ENDPOINT_URL_S3"
	@echo "make cluster-demo  the demo's study on that cluster"
	@echo "make images        build the worker's and the controller's image"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rustk needs Python 3.11 or newer: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.5"
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '.[train-$(TENSORFLOW),dev]'
	touch $@

# One process a core; files stay whole, so that what a file sets up is set up once, and begin in the order in which
# tests/conftest.py puts them.
test: $(READY)
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

DEMO_RUSTK = RUSTK_STORE=$(DEMO)/store $(BIN)/rustk

demo: $(READY)
	$(DEMO_RUSTK) phantom --images 300 --size 160
	$(DEMO_RUSTK) weights add efficientnet-lite0 --from-package
	$(DEMO_RUSTK) submit demo
	$(DEMO_RUSTK) aggregate demo

# The docs as a site in build/site: strictly, so that a link to nowhere is an error.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

cluster-tests: $(READY)
	RUSTK_TEST_S3_ENDPOINT=$$AWS_ENDPOINT_URL_S3 $(BIN)/python -m pytest tests/store
	$(BIN)/python -m pytest tests/cluster

cluster-demo: $(READY)
	tests/cluster/demo.sh $(BIN)

images:
	images/build.sh

# The versions that were tested. The compiled file names no index, so that it serves behind any mirror.
constraints:
	$(BIN)/uv pip compile --quiet --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	    --python-platform x86_64-manylinux_2_28 --python-version 3.11 \
	    --extra train-cpu --extra train-cuda --extra dev pyproject.toml --output-file constraints.txt

clean:
	rm -rf $(VENV) $(DEMO) build
