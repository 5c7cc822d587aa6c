# make ask Q="…"   a cited answer from the articles in seeds/; installs what it needs the first time
# make help        every target

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Left behind by a finished install; older than what they depend on, they make the next command install again.
RUNTIME := $(VENV)/.installed-runtime
DEV := $(VENV)/.installed-dev

# The question reaches the command through the environment, so that quotes, apostrophes and $ in it mean nothing to make or
# the shell. Q itself is kept out of the environment: make would expand it on the way, and so run a $(shell …) in it.
unexport Q
export RAG_MAKE_QUESTION := $(value Q)

PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: ask bench check eval fuzz help question readme test

## ask Q="…": answer a question from the articles
# Exit code 3 is an honest "the articles do not say", printed like any answer, so no failure to make.
ask: question $(RUNTIME)
	@printf '%s' "$$RAG_MAKE_QUESTION" | $(BIN)/rag ask - || { code=$$?; [ $$code -eq 3 ] || exit $$code; }

question:
	@[ -n "$$RAG_MAKE_QUESTION" ] || { echo 'usage: make ask Q="Why did China ban Japanese seafood?"' >&2; exit 2; }

## test: run the tests
test: $(DEV)
	@$(BIN)/python -m pytest -q

## check: what a change must pass: lint, format, types, tests with branch coverage
check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict rag
	$(BIN)/python -m pytest -q --cov --cov-report=term

## bench: measure quality and speed
bench: $(DEV)
	@$(BIN)/python -m benchmarks

## eval: measure the quality of rankings and answers, and write benchmarks/QUALITY.md
eval: $(DEV)
	@$(BIN)/python -m benchmarks.quality

## readme: write the README's command output, settings and examples anew
readme: $(DEV)
	@$(BIN)/python -m benchmarks.readme

## fuzz: look for files that break their readers, for FUZZ_SECONDS (600)
FUZZ_SECONDS ?= 600
fuzz: $(DEV)
	@$(PIP) install --constraint constraints.txt atheris >&2
	@$(BIN)/python tests/fuzz_readers.py -max_total_time=$(FUZZ_SECONDS)

## help: this list
help:
	@sed -n 's/^## /make /p' $(firstword $(MAKEFILE_LIST))

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed: make PYTHON=… names one")'
	@$(PYTHON) -m venv $(VENV) >&2

$(RUNTIME): pyproject.toml constraints.txt | $(BIN)/python
	@echo 'installing into $(VENV), once: some minutes …' >&2
	@$(PIP) install --constraint constraints.txt --editable . >&2
	@touch $@

$(DEV): $(RUNTIME)
	@echo 'installing the development tools into $(VENV) …' >&2
	@$(PIP) install --constraint constraints.txt --editable '.[dev]' >&2
	@touch $@
