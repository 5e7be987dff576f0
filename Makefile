# Every target works from any directory (`make -C path`, `make -f path/Makefile`): the scripts go to the root by themselves.
# Each part prints its own time as `== part: 12.3s`; the first failing part stops the run.

SCRIPTS := $(dir $(realpath $(lastword $(MAKEFILE_LIST))))scripts
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help build demo check test test-all bench sim image gen fmt clean
.NOTPARALLEL:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(lastword $(MAKEFILE_LIST))

build: ## bin/penstock with the web pages in it (needs Go; without Node the pages are left out)
	@$(SCRIPTS)/build

demo: ## build, then run the demo; flags in ARGS, for example ARGS="--once --scenario bad-release"
	@$(SCRIPTS)/demo $(ARGS)

check: ## formatting, linters, generated code fresh, web checks, short unit tests
	@$(SCRIPTS)/check

test: ## check, all Go tests, a smoke of the simulator
	@$(SCRIPTS)/test

test-all: ## ring 4: real processes, demo scenarios, browser; the simulator with more crash points and seeds (run `make test` first)
	@$(SCRIPTS)/test-all

bench: ## the measured promises, as JSON lines on standard output
	@$(SCRIPTS)/bench $(ARGS)

sim: ## the seeded simulator and its crash matrix; SEEDS=2000, or PENSTOCK_SIM_FOR=10m and PENSTOCK_SIM_SEED=7
	@$(SCRIPTS)/sim $(ARGS)

image: ## dist/image: a container image as an OCI layout, without Docker (on Debian); its tag in VERSION
	@$(SCRIPTS)/image

gen: ## regenerate internal/gen and web/src/gen from proto/
	@$(SCRIPTS)/gen

fmt: ## format all Go code
	@$(SCRIPTS)/fmt

clean: ## remove what was built; git-tracked files stay
	@$(SCRIPTS)/clean
