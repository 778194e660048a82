# Operations killed half-way, and run again.

OPERATIONS ?=
POINTS ?= 0
# Or after these tasks, by their numbers.
TASKS ?=
# Instead of after tasks, at so many random moments.
MOMENTS ?= 0

.PHONY: chaos

chaos: .lab/protected-$(ENGINE) ## Kill each operation wherever that can leave something new (hours), or: OPERATIONS=switchover POINTS=3; or MOMENTS=10
	$(VENV)/bin/python tests/chaos/run.py --points $(POINTS) --moments $(MOMENTS) $(addprefix --tasks ,$(TASKS)) $(if $(EVERY),--every) $(if $(RECORD),--record) $(OPERATIONS)
