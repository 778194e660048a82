# Figures, side by side with their references. Nothing else may run on the machine meanwhile.

# ONLY=forecast takes ten minutes with ROUNDS=3, and 25 GB of disk; FORECAST_LEARNED and FORECAST_UNSEEN choose other sizes.

ROUNDS ?= 5
ONLY ?=

.PHONY: bench

bench: .lab/protected-$(ENGINE) ## Measure recovery on the lab (about an hour), write docs/benchmarks.json and its page; or ONLY=switchover
	$(VENV)/bin/python tests/bench/run.py --rounds $(ROUNDS) $(ONLY)
	$(VENV)/bin/python scripts/benchmarks_page.py
