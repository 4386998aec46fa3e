# Everything a fresh machine needs is python3 (3.11, or 3.12 from 3.12.2) and make.
#   make install       the locked environment, in .venv; every other target installs what it needs
#   make demo          every figure and table, small, with a report: results/demo/report.html
#   make redraw        the results of docs/results, drawn again from their records: results/redrawn/report.html
#   make test          the tests
#   make test-slurm    a part of the demo on a SLURM cluster that is brought up on this machine
#   make lint          linters and types
#   make lint-actions  checks of .github
#   make docs          the documentation, as a site: site/index.html
#   make package       the wheel and the source distribution: dist/
#   make bench         training and refinement against plain loops; with a GPU, bench-gpu too
#   make bench-gpu     what the paper costs on this machine's GPU, in ten minutes: results/bench/gpu.md
#   make lock          the newest versions that envs/*.in allow, into the locks
#   make clean         removes results/demo and what docs and package made
#   make help          this list
# With PYTHON=python3.12 they take that Python, with CORES=4 the demo takes so many processor cores.

PYTHON ?= python3
CORES ?= all
BIN := .venv/bin
TOOLS := .venv-tools/bin
DEMO := --configfile config/demo.yaml

.PHONY: help install demo redraw test test-slurm lint lint-actions docs package bench bench-gpu lock clean

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

# what the tools beside the project need is small, and apart: none of them runs with the library
.venv-tools/installed: envs/bootstrap.lock envs/tools.lock
	@$(PYTHON) -m venv .venv-tools
	@$(TOOLS)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/bootstrap.lock
	@$(TOOLS)/uv pip sync --quiet --require-hashes --python $(TOOLS)/python envs/tools.lock
	@touch $@

# a run that was killed hard has left Snakemake's lock
demo: install
	@$(BIN)/python -m sgaplus.stale_lock
	$(BIN)/snakemake report --cores $(CORES) $(DEMO)
	@echo 'The report is results/demo/report.html'

redraw: install
	@$(BIN)/python -m sgaplus.stale_lock
	$(BIN)/snakemake report --cores $(CORES) --configfile config/laptop.yaml docs/results/config.yaml
	@echo 'The report is results/redrawn/report.html'

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

lint-actions: .venv-tools/installed
	$(TOOLS)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(TOOLS)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(TOOLS)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(TOOLS)/check-jsonschema --builtin-schema vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	$(TOOLS)/zizmor --offline --quiet .github

# a link to a page, file or heading that is not there ends it
docs: .venv-tools/installed
	NO_MKDOCS_2_WARNING=1 $(TOOLS)/mkdocs build --strict

package: .venv-tools/installed
	rm -rf dist
	$(TOOLS)/hatchling build

# training and refinement against the plain loops of a CompressAI user
bench: install
	$(BIN)/python -m sgaplus.benchmarks
	$(BIN)/python -m sgaplus.benchmarks.gpu --device auto

# steps per second at the paper's sizes, and the hours that follow, which snakemake -n tells from then on
bench-gpu: install
	$(BIN)/python -m sgaplus.benchmarks.gpu

# take the newest versions that the lists allow
lock: install
	cd envs && ../$(BIN)/uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes tools.in -o tools.lock
	cd envs && ../$(BIN)/uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --override overrides.txt requirements.in -o requirements.lock
	sed -i "s/^# [0-9a-f]\{64\}$$/# $$(sha256sum envs/requirements.lock | cut -d ' ' -f 1)/" envs/sgaplus.post-deploy.sh

clean:
	rm -rf results/demo site dist
