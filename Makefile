# One virtual environment for all: PYTHON makes it, constraints.txt pins what is in it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help demo test test-slow check bench clean

help:  ## Show what there is
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/raydnn: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	# torch first and by its exact version: a range could pull a build with gigabytes of CUDA.
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,examples]'
	@touch $@

demo: $(BIN)/raydnn  ## Train on real flights: Ray Data, two workers, evaluation, export, MLflow
	$(BIN)/python examples/flights_data.py runs/flights/data
	$(BIN)/raydnn train examples/flights.yaml

test: $(BIN)/raydnn  ## Run the tests
	$(BIN)/python -m pytest -m 'not slow'

test-slow: $(BIN)/raydnn  ## Run those that kill, wait, fill disks or start servers
	$(BIN)/python -m pytest -m slow

check: $(BIN)/raydnn  ## Lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(BIN)/raydnn  ## Measure speeds against peers
	$(BIN)/python benchmarks/encoder.py
	$(BIN)/python benchmarks/distributed.py
	$(BIN)/python benchmarks/recovery.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/growth.py --steps 15 --plots runs/benchmarks/growth
	$(BIN)/python benchmarks/scale_model.py --steps 20

clean:  ## Remove the environment and all runs
	rm -rf $(VENV) runs build dist
