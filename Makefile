# Every target sets up what it needs in .venv; nothing else is installed and nothing is asked.
.DEFAULT_GOAL := help
SHELL := /bin/sh

# The first Python from 3.11 to 3.13 that can make a virtual environment. Another: make PYTHON=/path/to/python test
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
	&& { echo $$p; break; }; done)

VENV := .venv
BIN := $(VENV)/bin
RUN := runs/quickstart

.PHONY: help setup setup-dev quickstart test test-slow soak audit benchmark benchmark-short lint format docs starter clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "distiltune needs Python 3.11, 3.12 or 3.13 with venv; none was found on the PATH" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.user: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.user

setup: $(VENV)/.user  ## set up .venv for use

setup-dev: $(VENV)/.dev  ## set up .venv for development

quickstart: setup  ## train on the packaged starter, measure the model, ask it something
	@echo "1. Train: 128 questions of the starter, a small model from random weights (no network needed)"
	$(BIN)/distiltune train --train starter --train-questions 128 --validation-share 0 --model starter \
		--epochs 30 --learning-rate 2e-3 --dropout 0 --attention-dropout 0 --head-dropout 0 \
		--output $(RUN) --overwrite
	@echo
	@echo "2. Ask it about a passage that it was trained on"
	$(BIN)/distiltune ask --model $(RUN) --document docs/examples/calder-quay.txt "Who had the stone pier put up?"
	@echo
	@echo "3. Measure it on passages that it never saw: without pretrained weights it has only learned by heart"
	$(BIN)/distiltune evaluate --model $(RUN) --data starter
	@echo
	@echo "Next, with your own texts and a pretrained model:"
	@echo "  distiltune train --train mine.csv --model distilbert-base-uncased --output runs/mine"

lint: setup-dev  ## ruff and strict mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup-dev  ## put the code into the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: lint  ## lint, types, and every test but the slow ones
	$(BIN)/pytest

test-slow: setup-dev  ## the tests that take minutes
	$(BIN)/pytest -m slow

$(VENV)/.benchmark: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[benchmark]'
	@touch $@

benchmark: $(VENV)/.benchmark  ## beside what users would pick instead, full size: half an hour on two cores
	$(BIN)/python -m benchmarks.run

benchmark-short: $(VENV)/.benchmark  ## the same with a sixth of the model: under three minutes
	$(BIN)/python -m benchmarks.run --short

docs: setup-dev  ## the documentation as a site, in build/site
	$(BIN)/python tools/docs/recipe.py
	$(BIN)/python tools/docs/commands.py
	NO_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict --quiet

starter: setup  ## make the packaged starter data and model shape again
	$(BIN)/python tools/starter_data/build.py
	$(BIN)/python tools/starter_model/build.py

soak: setup-dev  ## the long part of the fault suite: hours; results in runs/soak
	nice -n 19 $(BIN)/python -m tests.faults.soak --folder runs/soak

audit: setup-dev  ## look the pinned dependencies up in the public lists of known vulnerabilities (needs the network)
	$(BIN)/python -m pip install --quiet 'pip-audit>=2.7,<3'
	$(BIN)/pip-audit --no-deps --disable-pip --requirement .ci/constraints.txt

clean:  ## remove what can be made again
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
