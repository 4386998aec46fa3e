# Everything a fresh machine needs is python3 (3.11 or 3.12) and make.
#   make demo   every figure and table, small, with a report: results/demo/report.html
#   make test   the tests
#   make test-slurm   a part of the demo on a SLURM cluster that is brought up on this machine

PYTHON ?= python3
CORES ?= all
BIN := .venv/bin
DEMO := --configfile config/demo.yaml

.PHONY: help install demo test test-slurm lint bench lock clean

help:
	@sed -n 's/^#   //p' Makefile

install: .venv/installed

# the environment is exactly the lock's: what the lock does not name is removed; compiled once, since each job is a
# process that imports it, and not every machine lets them write beside it
.venv/installed: envs/bootstrap.lock envs/requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] <= (3, 12); sys.exit(None if ok else "error: Python 3.11 or 3.12 is needed, and $(PYTHON) is %d.%d. Try: make PYTHON=python3.11" % sys.version_info[:2])'
	@$(PYTHON) -m venv .venv || { echo 'error: $(PYTHON) cannot make virtual environments. On Debian or Ubuntu: apt install python3-venv' >&2; exit 1; }
	@echo 'Installing the locked environment into .venv (5 GB)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/bootstrap.lock
	@$(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes --python $(BIN)/python envs/requirements.lock
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python --editable .
	@touch $@

# a run that was killed hard has left Snakemake's lock
demo: install
	@$(BIN)/python -m sgaplus.stale_lock
	$(BIN)/snakemake report --cores $(CORES) $(DEMO)
	@echo 'The report is results/demo/report.html'

# side by side; tests of a file, and files that share a run of the workflow, stay together
test: install
	$(BIN)/pytest -n 2 --no-loadscope-reorder

test-slurm: install
	$(BIN)/pytest tests/slurm

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow/Snakefile workflow/rules
	$(BIN)/snakemake --lint
	$(BIN)/mypy

# training and refinement against the plain loops of a CompressAI user
bench: install
	$(BIN)/python -m sgaplus.benchmarks

# take the newest versions that envs/requirements.in allows
lock: install
	cd envs && ../$(BIN)/uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --override overrides.txt requirements.in -o requirements.lock
	sed -i "s/^# [0-9a-f]\{64\}$$/# $$(sha256sum envs/requirements.lock | cut -d ' ' -f 1)/" envs/sgaplus.post-deploy.sh

clean:
	rm -rf results/demo
