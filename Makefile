# Trident's two commands are `make serve` and `make test`; both set everything up first, once.
PYTHON ?= python3
BIN := .venv/bin
# Where pip is told to look for packages is passed on to uv, which does not read pip's configuration.
SOURCES = eval "$$($(BIN)/python -I src/trident/runtime/pip_config.py)"
define CHECK_PYTHON
import sys
if not (3, 10) <= sys.version_info[:2] <= (3, 12):
    sys.exit("Python %d.%d cannot run Trident.\n" % sys.version_info[:2]
             + "  why:  Triton's Python stub is used with CPython 3.10, 3.11 or 3.12\n"
             + "  next: name one of these, for instance `make PYTHON=python3.11`")
endef
export CHECK_PYTHON
.DEFAULT_GOAL := build
.PHONY: help build serve test without-an-engine watched lint types imports unit e2e hazards doors docs man setup dashboards pins clean

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: .venv/.installed ## make .venv with Trident and its tools in it

.venv/.python:
	@command -v "$(PYTHON)" > /dev/null || { printf '%s\n' "There is no $(PYTHON) here." \
		"  why:  Trident's environment is made with Python 3.10, 3.11 or 3.12" \
		"  next: install one, or name one that is here, for instance \`make PYTHON=python3.11\`" >&2; exit 1; }
	@$(PYTHON) -c "$$CHECK_PYTHON"
	@rm -rf .venv
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.uv: .venv/.python requirements/uv.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/.installed: .venv/.uv requirements/control.txt requirements/dev.txt pyproject.toml
	$(SOURCES); $(BIN)/uv pip install --python $(BIN)/python --no-deps --require-hashes --compile-bytecode \
		-r requirements/control.txt -r requirements/dev.txt
	$(BIN)/uv pip install --quiet --offline --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

setup: build ## install the engine environment too
	@$(BIN)/trident setup

serve: setup ## set everything up and serve the demo model
	@$(BIN)/trident serve

# Two cores are kept busy for the whole time. Hazards have deadlines, so beside them there is only what gives way.
test: setup ## set everything up and pass every check
	@$(MAKE) --no-print-directory -j2 --output-sync=target hazards without-an-engine
	@$(MAKE) --no-print-directory -j2 --output-sync=target doors watched

without-an-engine: build
	@nice -n 10 $(MAKE) --no-print-directory lint types imports docs unit

# What fails is run once more, by itself and with servers of its own: a shared machine stands still at times. Both runs
# are told; who sees a second one in a log has a defect to find, of the test or of Trident.
define PYTEST
run() { $(BIN)/python -m pytest -q -o cache_dir=.pytest_cache/$@ "$$@"; }; \
	again() { [ $$? -eq 1 ] && echo "$@: once more what has failed" && run --last-failed --last-failed-no-failures none "$$@"; }; \
	tested() { run "$$@" || again "$$@"; }; tested
endef

lint: build ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: build ## types
	$(BIN)/mypy

imports: build ## which package may import which
	$(BIN)/lint-imports

unit: build ## tests without an engine
	@$(PYTEST) tests/unit

hazards: setup
	@$(PYTEST) tests/e2e/hazards

# Each of the two starts browsers or servers of its own, and they take about as long.
WATCHED := doctor monitor pages test_life.py

watched: setup
	@$(PYTEST) $(WATCHED:%=tests/e2e/%)

doors: setup
	@$(PYTEST) tests/e2e tests/gpu $(WATCHED:%=--ignore=tests/e2e/%) --ignore=tests/e2e/hazards

e2e: setup ## tests with real Triton and real vLLM (those that need a GPU are skipped without one)
	@$(PYTEST) tests/e2e tests/gpu

# mkdocs has an environment of its own: nothing of Trident runs with what it wants.
.venv/docs/.installed: .venv/.uv requirements/docs.txt
	@rm -rf .venv/docs
	$(BIN)/uv venv --quiet --python $(BIN)/python .venv/docs
	$(SOURCES); $(BIN)/uv pip install --quiet --python .venv/docs/bin/python --no-deps --require-hashes \
		-r requirements/docs.txt
	@touch $@

docs: .venv/docs/.installed ## build the documentation into build/docs
	NO_MKDOCS_2_WARNING=1 .venv/docs/bin/mkdocs build --strict --quiet

man: build ## write the pages of the commands anew: man/trident.1, docs/commands.md
	$(BIN)/python tools/man_page.py && $(BIN)/python tools/commands_page.py

dashboards: build ## write Grafana's dashboards anew from src/trident/monitor/grafana/design
	$(BIN)/python -m trident.monitor.grafana.design.build

pins: build ## write the pinned requirement files anew (ARGUMENTS=--upgrade for newer versions)
	$(BIN)/python tools/pins.py $(ARGUMENTS)

clean: ## remove .venv and caches; the engine environment stays in the data folder
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
