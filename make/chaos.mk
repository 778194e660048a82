# Operations killed half-way, and run again.

OPERATIONS ?=
POINTS ?= 0

.PHONY: chaos

chaos: .lab/protected-$(ENGINE) ## Kill each operation wherever that can leave something new (hours), or: make chaos OPERATIONS=switchover POINTS=3
	$(VENV)/bin/python tests/chaos/run.py --points $(POINTS) $(if $(EVERY),--every) $(if $(RECORD),--record) $(OPERATIONS)
