# Operations killed half-way, and run again.

OPERATIONS ?=
POINTS ?= 0

.PHONY: chaos

chaos: .lab/protected-$(ENGINE) ## Kill each operation after each of its tasks (hours), or: make chaos OPERATIONS=switchover POINTS=3
	$(VENV)/bin/python tests/chaos/run.py --points $(POINTS) $(if $(RECORD),--record) $(OPERATIONS)
