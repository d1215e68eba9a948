# Everything Holdfast does from a checkout. It needs Python 3.11 to 3.14 with venv, and make.
.DEFAULT_GOAL := help
SHELL := /bin/sh

# The Python to build .venv with: `make run PY=/path/to/python3.13` overrules the search.
PY ?=
ARGS ?=
VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip --disable-pip-version-check
UV ?= uv
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate pyproject.toml

# An environment that was moved, or whose Python is gone, is made anew.
_ := $(shell $(PYTHON) -c pass 2>/dev/null || rm -f $(VENV)/.made $(VENV)/.run $(VENV)/.test)

.PHONY: help run test check format bench timers durability exports-check replay scenarios migrate docs lock clean

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

run: $(VENV)/bin/holdfast  ## start everything, with a database of its own unless DATABASE_URL is set
	@$(PYTHON) -m engine run $(ARGS)

test: $(VENV)/.test  ## run the tests, on a database made for them; ARGS="tests/kernel -k money"
	@$(PYTHON) -m pytest $(ARGS)

check: $(VENV)/.test  ## style, types and the import contracts
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@PYTHONPATH=. $(VENV)/bin/lint-imports
	@$(VENV)/bin/mypy

format: $(VENV)/.test  ## let ruff lay out the code and mend what it safely can
	@$(VENV)/bin/ruff check --fix-only --quiet .
	@$(VENV)/bin/ruff format .

bench: $(VENV)/.test  ## measure; ARGS="--json FILE" keeps the figures
	@$(PYTHON) -m loadtests.bench $(ARGS)

timers: $(VENV)/.test  ## ring a million clocks; ARGS="--fraction 0.05" for a part of them
	@$(PYTHON) -m loadtests.timers $(ARGS)

durability: $(VENV)/.test  ## kill -9 under load, twenty times, then audit; ARGS="--rounds 5 --seed 3"
	@$(PYTHON) -m tests.durability $(ARGS)

exports-check: $(VENV)/.test  ## export 100,000 entries; hledger, beancount and DuckDB recount them
	@$(PYTHON) -m tests.exports --seed 1 $(ARGS)

replay: $(VENV)/bin/holdfast  ## play months of a marketplace through the engine; ARGS="--help" lists the options
	@$(PYTHON) -m engine replay $(ARGS)

scenarios: $(VENV)/.test  ## play deals at a double of Stripe, or in a sandbox: STRIPE_TEST_KEY=sk_test_...
	@$(PYTHON) -m tests.scenarios $(ARGS)

migrate: $(VENV)/bin/holdfast  ## bring the database's schema up to date
	@$(PYTHON) -m engine migrate $(ARGS)

docs: $(VENV)/.run  ## draw the state machines and the clocks anew into docs/
	@$(PYTHON) -m engine.diagrams docs/machines
	@$(PYTHON) -m escrow.clocks_page docs/clocks.md

lock:  ## write requirements*.txt anew from pyproject.toml (needs uv)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: python3 -m pip install uv, or UV=/path/to/uv." >&2; exit 1; }
	$(COMPILE) -o requirements.txt
	$(COMPILE) --group dev -c requirements.txt -o requirements-dev.txt

clean:  ## remove the environment and all caches; no data of a database
	rm -rf $(VENV) .hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.run: requirements.txt $(VENV)/.made
	@echo "Installing what Holdfast needs ..." >&2
	@$(PIP) install --quiet --require-hashes -r $<
	@touch $@

# The command line of this checkout, from any folder; -P: a folder's own `engine` is not run instead.
$(VENV)/bin/holdfast: $(VENV)/.run Makefile
	@printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s/$(PYTHON)" -P -m engine "$$@"\n' "$(CURDIR)" "$(CURDIR)" > $@
	@chmod +x $@

$(VENV)/.test: requirements-dev.txt $(VENV)/.run
	@echo "Installing what the tests need ..." >&2
	@$(PIP) install --quiet --require-hashes -r $<
	@touch $@

# An environment that works is kept, whoever made it.
$(VENV)/.made:
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { \
		found=; \
		for candidate in $(if $(PY),"$(PY)",python3 python3.14 python3.13 python3.12 python3.11); do \
			"$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' \
				2>/dev/null && { found=$$candidate; break; }; \
		done; \
		test -n "$$found" || { \
			echo "Holdfast needs Python 3.11 to 3.14; none was found: make PY=/path/to/python3." >&2; \
			exit 1; }; \
		"$$found" -c 'import ensurepip, venv' 2>/dev/null || { \
			echo "$$found has no venv module: on Debian and Ubuntu, apt install python3-venv." >&2; \
			exit 1; }; \
		rm -rf $(VENV) && "$$found" -m venv $(VENV); }
	@touch $@
