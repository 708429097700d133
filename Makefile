# Everything starts here. Needs Python 3.11 or 3.12 and make; the rest is set up in .venv.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

FIND_PYTHON = for p in python3 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null \
	&& echo $$p && break; done
PYTHON ?= $(shell $(FIND_PYTHON))
GPU ?=
ARGS ?=
ADULT ?= ../shared/data/adult

BIN := .venv/bin
READY := .venv/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest

check test nightly: export OMP_NUM_THREADS = 1

.PHONY: help setup demo test check lint types nightly bench clean

help: ## what there is to make
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1:\2/p' Makefile | \
	  while IFS=: read -r name does; do printf '  make %-8s  %s\n' "$$name" "$$does"; done

setup: $(READY) ## a virtual environment in .venv with everything in it

demo: $(READY) ## the main job on a simulated clinic; the result is in demo-out/
	rm -rf demo-out
	$(BIN)/privsynth demo --out demo-out

check: lint types test ## what CI runs: style, types and tests

lint: $(READY) ## style
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(READY) ## types
	$(BIN)/mypy

test: $(READY) ## the tests, those of minutes left out
	$(PYTEST) -m "not slow" $(ARGS)

nightly: $(READY) ## every test, the slow ones too
	$(PYTEST) $(ARGS)

bench: $(READY) ## the benchmarks, one after the other
	$(BIN)/python benchmarks/dpsgd_step.py
	$(BIN)/python benchmarks/sampling.py
	if [ -d $(ADULT) ]; then \
	  $(BIN)/python benchmarks/main_job.py $(ADULT) --train train --test test --epsilon 1; \
	  $(BIN)/python benchmarks/main_job.py $(ADULT) --train train --test test --no-privacy; \
	else echo "the main job on real records: skipped, $(ADULT) is missing"; fi

clean: ## remove what make and the tools have written
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis demo-out dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints/cpu.txt
	@[ -n "$(PYTHON)" ] && $(PYTHON) -c \
	  'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' || { \
	  echo "privsynth needs Python 3.11 or 3.12; name one: make PYTHON=/path/to/python3.11"; exit 1; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv || { \
	  echo "no virtual environment; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(PIP) install --quiet -c constraints/cpu.txt torch
	$(PIP) install --quiet -c constraints/cpu.txt -e '.[dev]'
	@n=$$($(PIP) list --format=freeze | grep -c '^nvidia-' || true); \
	  if [ "$$n" != 0 ] && [ -z "$(GPU)" ]; then \
	  echo "note: $$n GPU packages came in with torch, some gigabytes, though nobody asked."; \
	  echo "      privsynth runs on the CPU without them: see 'Install' in README.md. GPU=1 hides this."; fi
	@touch $@
