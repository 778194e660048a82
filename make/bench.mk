# Figures, side by side with their references. Nothing else may run on the machine meanwhile.

# By default each measurement says how many it takes.
# ONLY=verify_standard_5gb takes six minutes and 25 GB of disk.
# ONLY=forecast takes ten minutes with ROUNDS=3, and 25 GB of disk; FORECAST_LEARNED and FORECAST_UNSEEN choose other sizes.
ROUNDS ?=
ONLY ?=
# What needs no lab.
HERE := window verify_standard_1gb verify_standard_5gb sabotage backup_tps paging health green_faults linter

.PHONY: bench

bench: $(if $(filter-out $(HERE),$(or $(ONLY),all)),.lab/protected-$(ENGINE),setup) ## Measure recovery on the lab (hours), write docs/benchmarks.json and its pages; or ONLY=switchover
	$(VENV)/bin/python tests/bench/run.py $(if $(ROUNDS),--rounds $(ROUNDS)) $(ONLY)
	$(VENV)/bin/python scripts/benchmarks_page.py
	$(VENV)/bin/python scripts/reference.py
