# Disasters on purpose, in the lab, recovered from by the playbooks of an emergency.

SCENARIO ?= planned_switchover primary_crash primary_host_lost $(if $(filter patroni,$(ENGINE)),,region_lost) data_loss \
  $(if $(filter patroni,$(ENGINE)),,backup_corrupt repository_lost cross_region_restore ransomware)
# SCENARIO=all: every runbook that has a fault to be made; those after which a lab needs most come last. Each has to be recognised.
LONG := region_lost repository_lost cross_region_restore ransomware
FAULTS := $(sort backup_corrupt $(patsubst playbooks/runbooks/%/inject.yml,%,$(wildcard playbooks/runbooks/*/inject.yml)))
ifeq ($(SCENARIO),all)
override SCENARIO := $(filter-out $(LONG),$(FAULTS)) $(LONG)
override OPTIONS += -e resilience_drill_recognise=true
endif
# How often each of them is run; from three on, the table says how sure a zero is.
REPEAT ?= 1
# Variants, as options of ansible-playbook: OPTIONS="-e resilience_drill_primary_fault=frozen"
OPTIONS ?=
# MODE=hand: by what a runbook's page says that somebody types, where each of its steps can be done so.
# MODE=training: a fault that TRAINEE does not know; OPTIONS="-e resilience_training_state=ended" ends it, given_up too.
MODE ?=
TRAINEE ?= $(USER)
INVENTORY = .lab/inventory.yml
ON_LAB = $(PLAYBOOK) -i $(INVENTORY) -e resilience_cluster=lab -e resilience_confirm=lab -e resilience_ha_engine=$(ENGINE) $(LAB)

.PHONY: drill site

site: lab-up ## The lab's cluster is set up and protected
	$(ON_LAB) fraiseql.resilience.site

ifdef CONTROLS
# With CONTROLS=1 no disaster: each check is shown a fault, and has to find it.
drill: .lab/protected-$(ENGINE)
	$(ON_LAB) fraiseql.resilience.controls
else ifeq ($(MODE),training)
# A scenario is drawn, unless the command line names one.
drill: .lab/protected-$(ENGINE)
	@$(ON_LAB) fraiseql.resilience.training -e '{"resilience_trainee": "$(TRAINEE)"}' $(OPTIONS) \
	  $(if $(findstring command line,$(origin SCENARIO)),-e resilience_scenario=$(SCENARIO))
else ifneq ($(filter-out hand,$(MODE)),)
drill:
	@echo "There is no MODE=$(MODE). Possible: MODE=training, MODE=hand, or none. Nothing was changed." >&2; exit 2
else
# Phases live on the terminal; a scenario that fails does not keep the others from being judged.
drill: .lab/protected-$(ENGINE) ## Nine disasters, one table, signed evidence; or one: make drill SCENARIO=data_loss; or SCENARIO=all; or CONTROLS=1; ENGINE=patroni
	@series=$$(date -u +%Y%m%dT%H%M%SZ); \
	for scenario in $$(for repetition in $$(seq $(REPEAT)); do echo $(SCENARIO); done); do \
	  ANSIBLE_STDOUT_CALLBACK=fraiseql.resilience.recovery_clock $(ON_LAB) fraiseql.resilience.drill \
	    -e resilience_scenario=$$scenario -e resilience_evidence_series=$$series \
	    $(if $(MODE),-e resilience_drill_way=$(MODE)) $(OPTIONS) || true; \
	done; \
	ANSIBLE_STDOUT_CALLBACK=fraiseql.resilience.recovery_clock $(ON_LAB) fraiseql.resilience.drill_summary \
	  -e resilience_evidence_series=$$series -e resilience_repeat=$(REPEAT) \
	  -e '{"resilience_scenarios": ["$(subst $() ,"$(comma)",$(strip $(SCENARIO)))"]}'
endif

# Made again when the lab is: lab_down removes the folder. A drill on a lab that is up begins at once.
.lab/protected-$(ENGINE): | setup
	$(PLAYBOOK) fraiseql.resilience.lab_up $(LAB)
	$(ON_LAB) fraiseql.resilience.site
	@rm -f .lab/protected-* && touch $@

comma := ,
