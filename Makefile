# Everything runs in .venv, which the first target makes from uv.lock. No root, no service, nothing outside this folder.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready
JOBS ?= 3
# CI sets tools.rerun: what fails there is run a second time, alone.
RUNNER ?= pytest
# Tests wait more than they work; a file's tests stay together.
PYTEST := -m $(RUNNER) -n $(JOBS) --dist loadfile
# All of them in this order: sorted by their number of tests, as xdist would, long files with few tests come last, alone.
IN_ORDER := --no-loadscope-reorder
# Not tests/deploy, which runs installed copies of reaper, and not tests/fault: both have a target of their own.
KINDS := $(addprefix tests/,e2e simulation integration contract property fuzz repo unit)
# What another interpreter or an older library could break, without the engines' servers; `make nightly` runs all of e2e.
PORTABLE ?= tests/unit tests/contract $(addprefix tests/e2e/test_,check.py daemon.py probe.py reload.py)
LIGHT := -m 'not slow' -k 'not postgres and not redis'

.DEFAULT_GOAL := help
.PHONY: help demo run check test engines deploy pythons lowest fault coverage prove mutate soak nightly audit-deps format generated lock docs dist constraints sbom clean

help: ## List what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml uv.lock tools/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "reaper needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "installing what reaper needs into .venv" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tools/uv.txt
	@UV_SYSTEM_CERTS=1 $(BIN)/uv sync --quiet --frozen --inexact
	@touch $@

demo: $(READY) ## Stop 500 sessions of a local stand-in API that fails now and then
	@$(BIN)/reaper demo

run: $(READY) ## Run the daemon in the foreground (needs ARCHAL_TOKEN or a configuration)
	@$(BIN)/reaper run

test: $(READY) ## Run the tests of a normal change: all but those of deploy and fault (JOBS=n files at a time)
	@$(BIN)/python $(PYTEST) $(IN_ORDER) $(KINDS)

engines: $(READY) ## Run the tests that need PostgreSQL or Redis; fails where one is missing
	@TEST_REQUIRE_BACKENDS=postgres,redis $(BIN)/python $(PYTEST) $(addprefix tests/,contract property integration) \
	    -k 'postgres or redis or Postgres or Redis'

deploy: $(READY) ## Run the tests of the wheel, the image, the units, the manifests, the dashboard and the site
	@$(BIN)/python $(PYTEST) tests/deploy

pythons: $(READY) ## Run unit, contract and some e2e tests on Python 3.12 and 3.13, where they are found (PYTHONS="3.12 …")
	@for version in $(or $(PYTHONS),3.12 3.13); do \
	    python=$$(.ci/find-python $$version) || { echo "Python $$version is not here: its tests are skipped" >&2; continue; }; \
	    echo "Python $$version: $$python"; \
	    UV_PROJECT_ENVIRONMENT=.venv/python$$version UV_SYSTEM_CERTS=1 \
	        $(BIN)/uv sync --quiet --frozen --python "$$python" || exit 1; \
	    .venv/python$$version/bin/python $(PYTEST) -q $(PORTABLE) $(LIGHT) || exit 1; \
	done

lowest: $(READY) ## Run unit, contract and some e2e tests with the lowest versions that pyproject.toml allows
	@UV_SYSTEM_CERTS=1 $(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv/lowest
	@UV_SYSTEM_CERTS=1 $(BIN)/uv pip install --quiet --python .venv/lowest/bin/python --resolution lowest-direct \
	    --editable . --group dev
	@.venv/lowest/bin/python $(PYTEST) -q $(PORTABLE) tests/integration/test_notifications.py tests/integration/test_receivers.py $(LIGHT)

nightly: $(READY) ## Run for hours: all of e2e on each Python, every planted bug, long faults, every mutant, a soak of eight hours, a million inputs of the fuzzers
	@$(MAKE) pythons PORTABLE="tests/unit tests/contract tests/e2e"
	@$(BIN)/python -m tools.proof.prove
	@FAULT_PROFILE=long $(BIN)/python -m pytest -s tests/fault
	@$(BIN)/python -m tools.proof.mutate --sample 0
	@$(BIN)/python -m tests.support.fault.soak --hours $(or $(HOURS),8)
	@$(BIN)/python -m tests.support.http.fuzz_h1 --inputs 1000000
	@$(BIN)/python -m tests.support.http.fuzz_h2 --inputs 1000000

coverage: $(READY) ## Measure which branches the tests take, room by room; fails below the bounds (needs PostgreSQL and Redis)
	@rm -f .coverage .coverage.*
	@TEST_REQUIRE_BACKENDS=postgres,redis $(BIN)/coverage run $(PYTEST) $(IN_ORDER) -q \
	    --hypothesis-profile=ci --timeout=600 -m 'not untraced' tests/fault/test_outages.py $(KINDS) && passed=0 || passed=$$?; \
	$(BIN)/coverage combine --quiet && $(BIN)/python -m tools.coverage_rooms && exit $$passed

prove: $(READY) ## Plant a bug, see its test fail, bug by bug, in a copy of the tree (PART=k/n: every n-th bug)
	@$(BIN)/python -m tools.proof.prove $(PART)

mutate: $(READY) ## Count the small mistakes in core and queues that tests notice (MUTATE_ROOMS="core …", MUTATE_SAMPLE=n of each, 0: all, MUTATE_SEED=n)
	@$(BIN)/python -m tools.proof.mutate $(if $(MUTATE_ROOMS),--rooms $(MUTATE_ROOMS)) \
	    $(if $(MUTATE_SAMPLE),--sample $(MUTATE_SAMPLE)) --seed $(or $(MUTATE_SEED),1)

fault: $(READY) ## Kill, starve and mislead reapers, engines, disks and servers (FAULT_PROFILE=short|long, FAULT_SEED=n)
	@$(BIN)/python -m $(RUNNER) -s tests/fault

simulate: $(READY) ## Simulate reapers in a world full of faults (SEEDS=n, HOURS=h of each; 20 and 2 by default)
	@$(BIN)/python -m tests.support.simulation --seeds $(or $(SEEDS),20) --hours $(or $(HOURS),2)

soak: $(READY) ## Run a daemon for long with faults on (HOURS=n, 0.5 by default; FAULT_SEED=n)
	@$(BIN)/python -m tests.support.fault.soak --hours $(or $(HOURS),0.5)

check: $(READY) ## Format, lint, types and import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

audit-deps: $(READY) ## Ask the index's vulnerability service about every dependency (needs the network)
	@$(BIN)/uv export --quiet --frozen --no-dev --all-extras --no-emit-project --output-file .venv/audited.txt
	@UV_SYSTEM_CERTS=1 $(BIN)/uvx --quiet --from 'pip-audit>=2.9,<3' pip-audit --strict --disable-pip --requirement .venv/audited.txt

format: $(READY) ## Rewrite the code in the house style
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

generated: $(READY) ## Write completions/, man/, config/, THIRD-PARTY-NOTICES and the tables of docs/ anew
	@$(BIN)/python -m tools.cli_reference
	@$(BIN)/python -m tools.settings_reference
	@$(BIN)/python -m tools.json_contract.write
	@$(BIN)/python -m tools.notices
	@$(BIN)/python -m tools.documented_commands

.PHONY: screens
screens: $(READY) ## Capture docs/screens/, its page and the pictures of docs/img/ anew (needs tmux and chromium)
	@$(BIN)/python -m tools.screens
	@$(BIN)/python -m tools.screens.console
	@$(BIN)/python -m tools.screens.movie

lock: $(READY) ## Resolve the dependencies anew
	@UV_SYSTEM_CERTS=1 $(BIN)/uv lock --upgrade

docs: $(READY) ## Build the site of docs/ into site/; any dead link fails
	@UV_SYSTEM_CERTS=1 $(BIN)/uv sync --quiet --frozen --inexact --group docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@ls site/index.html

dist: $(READY) ## Build the wheel and the source archive into dist/
	@rm -f dist/*.whl dist/*.tar.gz
	@UV_SYSTEM_CERTS=1 $(BIN)/uv build --quiet
	@ls dist/*.whl dist/*.tar.gz

constraints: dist ## Write dist/constraints.txt: the wheel and all that it can need, pinned and hashed, from uv.lock
	@$(BIN)/uv export --quiet --frozen --no-dev --all-extras --no-emit-project --no-header --no-annotate | \
	    $(BIN)/python tools/constraints.py dist > dist/constraints.txt.new
	@mv dist/constraints.txt.new dist/constraints.txt
	@ls dist/constraints.txt

sbom: $(READY) ## Write dist/sbom.cdx.json: all that an installation with every extra consists of, from uv.lock, with licenses
	@mkdir -p dist
	@UV_SYSTEM_CERTS=1 $(BIN)/uv export --quiet --frozen --no-dev --all-extras --format cyclonedx1.5 | \
	    $(BIN)/python -m tools.sbom "$$($(BIN)/python -c 'import reaper; print(reaper.__version__)')" > dist/sbom.cdx.json.new
	@mv dist/sbom.cdx.json.new dist/sbom.cdx.json
	@ls dist/sbom.cdx.json

clean: ## Remove what make made
	rm -rf .venv .mypy_cache .import_linter_cache .ruff_cache .hypothesis .coverage .coverage.* dist site
