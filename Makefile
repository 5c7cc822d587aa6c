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
.PHONY: ask bench check eval eval-reader fuzz help question readme reader test

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

## bench: measure speed, memory and size beside other systems, and write benchmarks/RESULTS.md; hours on two cores
bench: $(DEV)
	@$(BIN)/python -m benchmarks.bench

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

## reader: train the reading model again, from the data in DATA; hours on two cores
DATA ?= ../shared/data
READER := build/reader
ENCODER = $$($(BIN)/python -c 'from rag.models.sources import find_model; print(find_model("all-MiniLM-L6-v2").folder)')
reader: $(DEV)
	$(BIN)/python -m training.prepare --data $(DATA) --encoder "$(ENCODER)" --out $(READER)/examples
	OMP_NUM_THREADS=1 $(BIN)/python -m training.train --examples $(READER)/examples --encoder "$(ENCODER)" --out $(READER)/run
	$(BIN)/python -m training.export --run $(READER)/run --examples $(READER)/examples --encoder "$(ENCODER)" --out $(READER)/export
	for kind in "" .fp32; do $(BIN)/python -m training.evaluate --data $(DATA) --examples $(READER)/examples \
		--encoder "$(ENCODER)" --model $(READER)/export/model$$kind.onnx --out $(READER)/figures$$kind.json || exit 1; done
	$(BIN)/python -m training.card --examples $(READER)/examples --export $(READER)/export \
		--figures $(READER)/figures.json --whole $(READER)/figures.fp32.json
	$(BIN)/python -m training.answerer --data $(DATA) --reader $(READER)/export --card $(READER)/export/MODEL_CARD.md \
		--out $(READER)/export/calibration.json
	$(BIN)/python -m training.checker --data $(DATA) --reader $(READER)/export --out $(READER)/export/checking.json

## eval-reader: measure the shipped reader and the answers that it gives, with intervals and goals; SAMPLE=40 for a quick look
SAMPLE ?= 0
eval-reader: $(DEV)
	@$(BIN)/python -m benchmarks.reader --data $(DATA) --sample $(SAMPLE) --out $(READER)/lines.json

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
