# Everything here does its own set-up, from nothing but Python 3.11 and pip, into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: help install demo test test-e2e test-faults test-servers test-data test-cluster test-containers test-seeds test-simulation bench lint format compile lock images clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-16s %s\n", $$1, $$2}'

install: $(VENV)/.runtime ## install kubedistill into .venv

demo: $(VENV)/.runtime ## distil, gate and promote a student on real data
	$(BIN)/kubedistill run pipelines/recipes/digits.yaml --output runs/demo

test: $(VENV)/.development ## run the tests
	$(BIN)/python -m pytest --numprocesses=auto --dist=loadgroup --durations=10

test-e2e: $(VENV)/.development ## whole runs, from recipe to registry
	$(BIN)/python -m pytest tests/e2e --numprocesses=auto --dist=loadgroup --durations=10

test-faults: $(VENV)/.development ## kill and interrupt runs at many points
	$(BIN)/python -m pytest tests/faults

test-servers: $(VENV)/.development ## promotion on real servers: MLflow on PostgreSQL, passwords, S3, faults, races
	$(BIN)/python -m pytest tests/servers tests/registration_server -s --durations=10

test-data: $(VENV)/.development ## the data plane: S3, kills, damage, full disks, memory
	$(BIN)/python -m pytest tests/storage_server tests/data_faults --numprocesses=auto --dist=loadgroup --durations=10

test-cluster: $(VENV)/.development ## locks, rights, TrainJobs, doctor on a real Kubernetes API server
	$(BIN)/python -m pytest tests/cluster --durations=10

test-containers: $(VENV)/.development ## the images, and the pipeline in them, on a Docker engine
	$(BIN)/python -m pytest tests/containers --durations=10

test-seeds: $(VENV)/.development ## check the figures that the README claims, over seeds 0 to 4
	$(BIN)/python -m pytest tests/seeds -s

test-simulation: $(VENV)/.development ## how often the gates promote what they should not, in thousands of runs
	$(BIN)/python -m pytest tests/simulation -s

bench: $(VENV)/.development ## measure the performance targets into build/bench.json
	$(BIN)/python -m tests.benchmarks.bench

lint: $(VENV)/.development ## style, types, import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.development ## format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

compile: $(VENV)/.development ## regenerate everything that is generated and kept
	$(BIN)/python -m pipelines.compiling

lock: $(VENV)/.development ## regenerate the lock files of the images
	$(BIN)/python -m pipelines.images.locking

images: $(VENV)/.runtime ## build the images; TORCH_BASE=… has PyTorch, BASE=… is for all others
	$(BIN)/python -m pipelines.images.building --torch-base='$(TORCH_BASE)' --base='$(BASE)'

clean: ## remove the environment and results
	rm -rf $(VENV) runs build .kubedistill

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "kubedistill needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing into $(VENV) (a minute or two, once)"
	$(PIP) --editable '.[local]'
	@touch $@

$(VENV)/.development: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing into $(VENV) (a minute or two, once)"
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.runtime
