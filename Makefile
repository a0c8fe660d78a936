PYTHON ?= python3
BIN := .venv/bin

# One shell line: CONSUL_BIN is exported if there is a real Consul, otherwise it is unset.
REAL_CONSUL = CONSUL_BIN="$$(scripts/get-consul || true)"; \
	if [ -n "$$CONSUL_BIN" ]; then export CONSUL_BIN; else unset CONSUL_BIN; fi

# Many tests mostly wait, for timeouts and expiries: more processes than cores, an agent for each.
WORKERS ?= 6

# How much more of the same `make test-long` does: seeds, examples, rounds, seconds.
EFFORT ?= 10

# How long `make search` and `make fuzz` search.
MINUTES ?= 30

# How long `make torture` breaks a cluster, and the seed of its plan; without one, each run has another.
SECONDS ?= 3600
SEED ?=

# The tests start the command a thousand times: it is compiled once, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo fast test test-long search torture fuzz lint generate man docs clean

help:
	@echo "make demo      one job runs under a lock while a second one waits, then runs"
	@echo "make test      everything the project checks: ruff, mypy, all tests (with a real Consul if available)"
	@echo "make fast      ruff, mypy and the unit tests: no Consul, no network, less than a minute"
	@echo "make test-long what has random seeds or counts rounds, EFFORT=$(EFFORT) times as much of it: hours"
	@echo "make search    simulated runs that break a promise, on all cores for MINUTES=$(MINUTES); it says what it never reached"
	@echo "make torture   random faults on a real cluster for SECONDS=$(SECONDS), and a check of all that was held; SEED=... plays one again"
	@echo "make fuzz      arbitrary bytes for the reader of answers and of documents, for MINUTES=$(MINUTES); the corpus grows"
	@echo "make lint      ruff and mypy only"
	@echo "make generate  the API for threads from that for asyncio, after a change to consul_lock/_async"
	@echo "make man       the man page and the completion of shells, below build/share"
	@echo "make docs      bring docs/cli.md up to date, after a change to a command"
	@echo "make clean     remove .venv and everything that was built"
	@echo "All of it needs Python 3.11 or later; set PYTHON=... if that is not python3."

# Two stamps in one environment, each as new as the pyproject.toml it was made from: what users need (the demo),
# and the developers' tools besides. Installing the second is installing the first.
VENV = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; this is " + sys.version.split()[0])' \
	&& $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet --disable-pip-version-check

.venv/runnable: pyproject.toml
	@echo "installing into .venv, which takes a minute the first time" >&2
	@$(VENV) -e .
	@touch $@

.venv/installed: pyproject.toml
	@echo "installing into .venv, with the tools of the project, which takes some minutes the first time" >&2
	@$(VENV) -e '.[cron,dev]'
	@touch .venv/runnable $@

demo: .venv/runnable
	@$(REAL_CONSUL); $(BIN)/python examples/demo.py

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	@$(REAL_CONSUL); $(BIN)/pytest -n $(WORKERS)

fast: lint
	@TEST_EFFORT=0.2 $(BIN)/pytest -q -n 2 -m "not slow and not real" tests/unit

test-long: .venv/installed
	@$(REAL_CONSUL); TEST_EFFORT=$(EFFORT) $(BIN)/pytest -n $(WORKERS) \
		-o faulthandler_timeout=7200 tests/project/test_model.py tests/simulation tests/stress tests/testing_world/test_random.py tests/cluster/test_deaths.py \
		tests/drivers/test_every_point.py tests/drivers/test_hostile_bytes.py tests/scale/test_cycles.py \
		tests/faults/test_cancelled.py tests/faults/test_closing.py tests/faults/test_ctrl_c.py tests/faults/test_cut_points.py \
		tests/faults/test_deaths.py tests/faults/test_foreign_documents.py tests/faults/test_hostile_answers.py tests/fuzz \
		tests/cli/test_hostile_servers.py tests/cli/test_secrets.py tests/cli/check/test_plugin_line.py tests/cli/doctor/test_hostile.py \
		tests/torture/test_torture.py tests/torture/test_workload.py tests/unit

search: .venv/installed
	@$(BIN)/python -m tests.simulation.search --minutes $(MINUTES)

fuzz: .venv/installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[fuzz]'
	@$(BIN)/python -m tests.fuzz.search --minutes $(MINUTES)

torture: .venv/installed
	@$(REAL_CONSUL); $(BIN)/python -m tests.torture.torture --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) --out build/torture

generate: .venv/installed
	@$(BIN)/python -m scripts.unasync

man: .venv/installed
	@$(BIN)/python -m scripts.manual share build/share
	@echo "man -l build/share/man/man1/consul-lock.1"

docs: .venv/installed
	@$(BIN)/python -m scripts.manual reference docs/cli.md

clean:
	rm -rf .venv .nox build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage htmlcov
