# Every target sets up what it needs in .venv; nothing else is installed and nothing is asked.
.DEFAULT_GOAL := help
SHELL := /bin/sh

# The first Python from 3.11 to 3.13 that can make a virtual environment. Another: make PYTHON=/path/to/python test
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
	&& { echo $$p; break; }; done)

# A Python that was named is looked at before anything else is done.
ifneq ($(filter command line environment,$(origin PYTHON)),)
named := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
ifeq ($(named),)
$(error distiltune needs Python 3.11, 3.12 or 3.13, and PYTHON=$(PYTHON) is none that runs: name one, as in PYTHON=python3.12)
endif
ifeq ($(filter 3.11 3.12 3.13,$(named)),)
$(error distiltune needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is $(named))
endif
there := $(shell .venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
ifneq ($(filter-out $(named),$(there)),)
$(error .venv was made with Python $(there), and $(PYTHON) is $(named); remove it first: rm -r .venv)
endif
endif

VENV := .venv
BIN := $(VENV)/bin
RUN := runs/quickstart
SHARED ?= ../shared

.PHONY: help setup setup-dev quickstart test test-quick test-slow soak audit benchmark benchmark-short benchmark-gpu lint format docs docs-version dist starter clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "distiltune needs Python 3.11, 3.12 or 3.13 with venv; none was found on the PATH" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.user: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[serve]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.user

setup: $(VENV)/.user  ## set up .venv for use: commands, Python, the page and its API

setup-dev: $(VENV)/.dev  ## set up .venv for development

quickstart: setup  ## fine-tune a packaged model on the starter data and ask it about a text that it has not seen
	@echo "1. Fine-tune on the 416 questions of the starter data (no network needed)"
	$(BIN)/distiltune train --train starter --output $(RUN) --overwrite
	@echo
	@echo "2. Ask it about a passage that it has not seen"
	$(BIN)/distiltune ask --model $(RUN) --document docs/examples/stannick-bells.txt \
		"Why do they pour the metal in the dark?" "What did the foundry turn out during the blockade?" \
		"In what year was the foundry's heaviest bell made?"
	@echo
	@echo "The report of the run, with its curves: $(RUN)/report.html"
	@echo "Next: the packaged model as it is, on your own text"
	@echo "  $(BIN)/distiltune ask --model starter-qa --document YOURS.txt \"A question?\""
	@echo "and your own questions, in CSV or SQuAD form (docs/data.md):"
	@echo "  $(BIN)/distiltune train --train mine.csv --output runs/mine"

lint: setup-dev  ## ruff and strict mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup-dev  ## put the code into the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: lint  ## lint, types, and every test but the slow ones
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder

test-quick: setup-dev  ## the tests that run nothing whole, without lint and types: under a minute on two cores
	$(BIN)/pytest -m "not slow and not gpu and not whole" --numprocesses auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder

test-slow: setup-dev  ## the tests that take minutes
	$(BIN)/pytest -m slow

$(VENV)/.benchmark: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[benchmark]'
	@touch $@

benchmark: $(VENV)/.benchmark  ## beside what users would pick instead, full size: half an hour on two cores
	$(BIN)/python -m benchmarks.run

benchmark-short: $(VENV)/.benchmark  ## the same with a sixth of the model: under three minutes
	$(BIN)/python -m benchmarks.run --short

benchmark-gpu: $(VENV)/.benchmark  ## on one NVIDIA GPU: correct first, then beside the Trainer: under seven minutes; needs SHARED
	$(BIN)/python -m benchmarks.gpu --shared $(SHARED)

docs: setup-dev  ## the documentation as a site, in build/site
	$(BIN)/python tools/docs/recipe.py
	$(BIN)/python tools/docs/commands.py
	$(BIN)/python -m tools.docs.architecture
	$(BIN)/python -m tools.docs.python_settings
	$(BIN)/python -m tools.docs.python_reference
	NO_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict

docs-version: docs  ## this version of the site beside earlier ones, on the branch gh-pages of this clone; nothing is sent
	$(BIN)/python -m pip install --quiet 'mike>=2.1,<3'
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/mike deploy --update-aliases \
		$$($(BIN)/python -c 'import distiltune; print(".".join(distiltune.__version__.split(".")[:2]))') latest
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/mike set-default latest

dist: setup-dev  ## wheel and sdist in dist/, their page on an index linked to the source: make dist URL=https://…
	@test -n "$(URL)" || { echo "say where the source lies: make dist URL=https://example.org/owner/distiltune" >&2; exit 2; }
	$(BIN)/python -m pip install --quiet 'build>=1.2,<2'
	DISTILTUNE_URL=$(URL) $(BIN)/python -m build

starter: setup  ## make the packaged data and both starter models again (hours; needs SQuAD and the teacher in SHARED)
	$(BIN)/python tools/starter_data/build.py
	$(BIN)/python -m tools.starter_model.build --shared $(SHARED) --install

soak: setup-dev  ## the long part of the fault suite: hours; results in runs/soak
	nice -n 19 $(BIN)/python -m tests.faults.soak --folder runs/soak

audit: setup-dev  ## look the pinned dependencies up in the public lists of known vulnerabilities (needs the network)
	$(BIN)/python -m pip install --quiet 'pip-audit>=2.7,<3'
	$(BIN)/pip-audit --no-deps --disable-pip --requirement .ci/constraints.txt

clean:  ## remove what can be made again
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
