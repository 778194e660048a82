# Everything that judges the collection. `make test` is all of it; CI runs just that.

SCENARIOS ?= trixie bookworm
SHELL_SCRIPTS = $(shell git ls-files --cached --others --exclude-standard | xargs -r grep -lE '^\#!(/usr/bin/env bash|/bin/(ba)?sh)$$')

LAB_TESTS = $(SCENARIOS:%=lab-test-%)

.PHONY: test test-fast lint unit sanity docs lab-test $(LAB_TESTS)

# Private: `setup`, on which they depend, makes that folder and must not run from it.
lint unit sanity docs $(LAB_TESTS): private export PATH := $(CURDIR)/.venv/bin:$(PATH)

test: test-fast lab-test ## Everything: lint, unit tests, sanity, and both molecule scenarios (about 40 minutes)

test-fast: lint unit sanity ## What needs no lab: lint, unit tests, ansible-test sanity (about 3 minutes)

# The folder that makes this checkout importable as ansible_collections.fraiseql.resilience, for mypy.
build/import/ansible_collections/fraiseql/resilience:
	mkdir -p $(@D)
	ln -sfn ../../../.. $@

lint: setup build/import/ansible_collections/fraiseql/resilience ## Every linter, and pages that differ from their source
	ruff check
	ruff format --check
	mypy -p ansible_collections.fraiseql.resilience.plugins.module_utils
	mypy scripts
	yamllint --strict .
	shellcheck $(SHELL_SCRIPTS)
	ansible-lint --offline
	antsibull-changelog lint
	python scripts/reference.py --check
	scripts/lint_collection.sh

unit: setup ## Unit tests, and what is true of every role, module and playbook
	pytest

sanity: setup ## ansible-test sanity, without a container and without ignores
	tests/sanity/run.sh

docs: setup ## Write docs/reference and the READMEs' tables from their source
	python scripts/reference.py

lab-test: $(LAB_TESTS) ## Both molecule scenarios: a lab of its own, site, drills, and tests from outside

$(LAB_TESTS): lab-test-%: setup
	molecule test --scenario-name $*
