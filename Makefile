# `make` says what there is. Everything is set up by whichever target is asked for first, and only once.
.DEFAULT_GOAL := help
SHELL := /bin/bash -o pipefail
MAKEFLAGS += --no-builtin-rules

VENV := .venv
PLAYBOOK := $(VENV)/bin/ansible-playbook
# Options for the lab's playbooks, for example: make lab-up LAB="-e lab_debian_release=bookworm"
LAB ?=
# Who promotes when the lab's primary is lost: manual, or patroni. A lab goes from manual to patroni, not back.
ENGINE ?= manual

# What Debian 12 and 13 have and a minimal installation lacks. runc runs on every kind of cgroup, crun only on v2.
PACKAGES := git iproute2 iptables mmdebstrap debian-archive-keyring netavark nftables openssh-client openssl podman \
  prometheus prometheus-alertmanager python3 python3-venv rsync runc shellcheck util-linux

.PHONY: help setup lab-up lab-down clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | sort | expand -t 16

setup: $(VENV)/.complete ## Debian packages, Python environment, and this checkout as collection fraiseql.resilience

$(VENV)/.packages: Makefile
	scripts/debian_packages.sh $(PACKAGES)
	@mkdir -p $(VENV) && touch $@

$(VENV)/.complete: $(VENV)/.packages requirements.txt requirements-dev.txt make/constraints.txt
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	[ -x $(VENV)/bin/python ] || python3 -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c make/constraints.txt
	collections=$$($(VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/ansible_collections/fraiseql && \
	mkdir -p $$collections && ln -sfn $(CURDIR) $$collections/resilience
	@touch $@

lab-up: setup ## Six hosts in containers, ready for `site`; a second time: what is missing is made again
	$(PLAYBOOK) -i localhost, fraiseql.resilience.lab_up $(LAB)

lab-down: setup ## The lab is gone, with all that it made (its image stays for the next one)
	$(PLAYBOOK) -i localhost, fraiseql.resilience.lab_down $(LAB)

clean: ## Remove what can be made again, the lab excepted
	rm -rf build .mypy_cache .pytest_cache .ruff_cache

# Everything else: test.mk (lint, units, molecule), and a file for each of drill, bench and chaos.
include $(sort $(wildcard make/*.mk))
