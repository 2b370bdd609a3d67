# `make demo` and `make test` set up what they need, say so first, and can be run twice.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.scangate-ready

.PHONY: help dev check test bench demo rules-report docs golden lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

dev: $(STAMP) ## a virtual environment with everything that development needs

$(STAMP): pyproject.toml requirements/dev.txt tools/setup.sh
	@tools/setup.sh $(VENV)
	@touch $(STAMP)

check: dev ## formatting, lint, types, the direction of the arrows, the action and the workflows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.ci_files

test: check ## check, then all tests with branch coverage
	$(BIN)/coverage erase
	$(BIN)/pytest -n 4 --dist worksteal --cov --cov-report= $(PYTEST_ARGS)
	$(BIN)/coverage report

bench: dev ## speed, as ratios measured side by side in one run
	$(BIN)/python tools/bench/run.py

demo: dev ## the main job for real: example projects are analysed on this machine and with recorded reports
	@tools/setup.sh --sandbox
	@$(BIN)/python tools/demo.py

rules-report: dev ## the built-in policy on all reports at hand: hits by rule, verdict by report, promises kept
	@$(BIN)/python -m tools.rules_report

docs: dev ## rewrite the generated documents, and policy/builtin.py from default.yml
	$(BIN)/python -m tools.docs
	$(BIN)/python -m tools.builtin_policy

golden: dev ## rewrite the golden files of the renderers; read the diff before you commit it
	$(BIN)/pytest -q tests/output --golden-update

lock: dev ## resolve the requirements of development and of the action anew (hashed)
	$(BIN)/python tools/lock.py

clean: ## remove what make made
	rm -rf $(VENV) build dist .coverage .coverage.* htmlcov .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
