# Everything that judges the collection. `make test` is all of it; CI runs just that.

IN_VENV := PATH="$(CURDIR)/.venv/bin:$$PATH"
SCENARIOS ?= default bookworm
SHELL_SCRIPTS = $(shell git ls-files --cached --others --exclude-standard \
  | xargs -r awk 'FNR == 1 && /^.!(\/usr\/bin\/env bash|\/bin\/(ba)?sh)$$/ { print FILENAME } { nextfile }')

LAB_TESTS = $(SCENARIOS:%=lab-test-%)

.PHONY: test test-fast lint unit slow sanity docs lab-test $(LAB_TESTS)

test: test-fast slow lab-test ## Everything: lint, unit tests, sanity, real servers, and the molecule scenarios of SCENARIOS

test-fast: lint unit sanity ## What needs no lab: lint, unit tests, ansible-test sanity (about 10 minutes)

# The folder that makes this checkout importable as ansible_collections.fraiseql.resilience, for mypy.
build/import/ansible_collections/fraiseql/resilience:
	mkdir -p $(@D)
	ln -sfn ../../../.. $@

lint: setup build/import/ansible_collections/fraiseql/resilience ## Every linter, and pages that differ from their source
	$(IN_VENV) ruff check
	$(IN_VENV) ruff format --check
	$(IN_VENV) mypy -p ansible_collections.fraiseql.resilience.plugins.module_utils -p ansible_collections.fraiseql.resilience.plugins.plugin_utils
	$(IN_VENV) mypy scripts
	$(IN_VENV) yamllint --strict .
	shellcheck $(SHELL_SCRIPTS)
	$(IN_VENV) ansible-lint --offline
	$(IN_VENV) antsibull-changelog lint
	$(IN_VENV) python scripts/reference.py --check
	$(IN_VENV) python scripts/benchmarks_page.py --check
	scripts/lint_collection.sh

unit: setup ## Unit tests, and what is true of every role, module and playbook
	$(IN_VENV) pytest -m 'not slow' --numprocesses auto

# With small clusters and repositories of their own, on this machine.
slow: setup ## Tests that make PostgreSQL servers and pgBackRest repositories here, and spoil them
	scripts/debian_packages.sh chromium curl haproxy libfaketime pgbackrest pgbouncer postgresql prometheus-blackbox-exporter \
	  prometheus-node-exporter prometheus-postgres-exporter python3-httptools python3-prometheus-client python3-psycopg2 \
	  python3-uvicorn python3-uvloop zstd
	$(IN_VENV) pytest -m slow --numprocesses 2 --dist loadfile

sanity: setup ## ansible-test sanity, without a container and without ignores
	tests/sanity/run.sh

docs: setup ## Write docs/reference, docs/benchmarks.md and the READMEs' tables from their source
	$(IN_VENV) python scripts/reference.py
	$(IN_VENV) python scripts/benchmarks_page.py

lab-test: $(LAB_TESTS) ## The molecule scenarios of SCENARIOS: a lab of its own, site, drills, and tests from outside

$(LAB_TESTS): lab-test-%: setup
	$(IN_VENV) molecule test --no-command-borders --scenario-name $*
