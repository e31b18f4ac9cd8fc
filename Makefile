# GNU make 3.81 (macOS) and newer. PYTHON chooses the interpreter of the environment (3.11 or newer).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-stamp
PYTEST := $(BIN)/python -m pytest --numprocesses=logical --maxprocesses=4 --dist=worksteal --durations=15

.DEFAULT_GOAL := help
.PHONY: help setup demo test coverage check format bench weights docs clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/\1	\2/' | expand -t 12

setup: $(STAMP) ## create the environment in .venv with the exact versions of constraints.txt

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: setup ## the whole loop on the bundled data and weights, in a few minutes
	$(BIN)/fairfed demo

$(STAMP)-extras: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,dicom,onnx]'
	touch $@

test: $(STAMP)-extras ## all tests, on up to four cores
	$(PYTEST)

coverage: $(STAMP)-extras ## the same, with the lines that no test reaches; half as long again
	$(PYTEST) --cov --cov-report=term

check: $(STAMP)-extras ## linter, formatter, types, arrows between the packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## rewrite the code as `check` wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## the measured comparisons of benchmarks/
	set -e; for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python $$script; done

weights: setup ## train the bundled CLIP and Stable Diffusion anew (resumable; CPU or GPU)
	$(BIN)/fairfed train-generator fashion-mnist -o .work/weights
	$(BIN)/python scripts/bundle_weights.py .work/weights

docs: setup ## write docs/configuration.md from the configuration model
	$(BIN)/python -m fairfed.config.reference docs/configuration.md

clean: ## remove caches and build products (not the environment, not runs)
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*
