# Two commands do everything: `make paper` and `make test`. Each sets up what it needs on a fresh Debian 12 machine
# that has Python 3.11, make and git.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PYTHON := $(BIN)/python
export PATH := $(CURDIR)/$(BIN):$(PATH)
# The workspace's own code runs, whatever is installed; results do not depend on the hash seed.
export PYTHONPATH := $(CURDIR)
export TOKENIZERS_PARALLELISM := false
LATEX_PACKAGES := latexmk texlive-latex-recommended texlive-pictures texlive-fonts-recommended lmodern poppler-utils
CHROMIUM_PACKAGES := chromium chromium-driver
JOBS ?= 2
# One at a time in a workspace: a second one says who is at work, and waits. The lock ends with the shell that holds it, however that ends.
BUSY := .work/make.lock
define alone
@mkdir -p $(dir $(BUSY)); exec 9>>$(BUSY); \
flock --nonblock 9 || { echo "another make is at work here ($$(cat $(BUSY))); waiting until it ends" >&2; flock 9; }; \
echo "process $$$$, make $@, since $$(date +%H:%M)" >$(BUSY); $(MAKE) --no-print-directory $(1) 9>&-
endef

.PHONY: paper paper-alone arxiv test test-all smoke reproduce reproduce-alone bench calibration verdicts doctor lock store-size latex chromium data archive help

help:
	@sed -n 's/^# \?//p;/^\.PHONY/q' Makefile | head -2
	@echo 'targets: paper arxiv test test-all smoke reproduce bench calibration verdicts doctor lock store-size'

# The main job: restore what is in the store, run what is stale, compile the PDF, check it all, stamp a release copy.
# `dvc repro` has just established freshness; with --all-pipelines it reads dvc.lock once, not twice.
paper:
	$(call alone,paper-alone)

paper-alone: $(VENV)/installed archive
	dvc pull --quiet --allow-missing
	@dvc status --quiet paper || $(MAKE) --no-print-directory latex
	dvc repro --all-pipelines
	python -m polychromic verify --no-fresh --draft
	python -m polychromic release

# The sources of the PDF in one file that compiles alone, for arXiv.
arxiv: paper
	python -m polychromic arxiv

# A file's tests share a process; a process has one core. What kills processes, reads 100,000 records or needs the whole workspace is
# marked slow: `make test-all` runs it, too.
test: $(VENV)/installed archive latex data
	OMP_NUM_THREADS=1 python -m pytest -m "not slow" --numprocesses $(JOBS) --dist loadfile

test-all: $(VENV)/installed archive latex chromium data
	OMP_NUM_THREADS=1 python -m pytest --numprocesses $(JOBS) --dist loadfile

# Real model, few steps, in a workspace of its own under .work/.
smoke: $(VENV)/installed data
	python -m polychromic smoke

# Everything again from the curated data, with an empty cache, on $(JOBS) cores.
reproduce:
	$(call alone,reproduce-alone)

reproduce-alone: $(VENV)/installed archive latex data
	POLYCHROMIC_CACHE=$(CURDIR)/.work/cache-$$(date +%s) python -m polychromic reproduce --jobs $(JOBS) --force

# Timings of this machine, into benchmarks/results/; leave it alone meanwhile. About 35 minutes on one quiet core.
bench: $(VENV)/installed data
	python -m benchmarks.step_cost
	python -m benchmarks.sampler
	python -m benchmarks.gradient_variance

# Are intervals and tests right where the truth is known? Simulations, into benchmarks/results/; a few minutes each.
calibration: $(VENV)/installed
	python -m benchmarks.fronts
	python -m benchmarks.calibration

# Are the recorded verdicts on programs those of the sandbox as it is now? Into benchmarks/results/verdicts.json; ten minutes.
verdicts: $(VENV)/installed data
	python -m benchmarks.verdicts

doctor: $(VENV)/installed
	python -m polychromic doctor

$(VENV)/installed: requirements.lock pyproject.toml
	@python3 -c 'import sys; v = sys.version_info[:2]; sys.exit(f"python3 is {v[0]}.{v[1]}; the pinned packages need 3.11. Install python3.11 and python3.11-venv, and put it first on PATH." if v != (3, 11) else 0)'
	python3 -m venv $(VENV)
	$(BIN)/pip install --quiet --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

data: archive
	@test -f data/listqa.jsonl -a -f data/replies.jsonl -a -f data/creative.jsonl -a -f data/code.jsonl || dvc pull --quiet data.dvc

# An unpacked `git archive` has no .git: DVC works without Git there.
archive: $(VENV)/installed
	@test -e .git || grep -qs no_scm .dvc/config.local || dvc config --local core.no_scm true

# Installs LaTeX when it is missing and this is root; else says what to run, and the PDF stage will stop there.
latex:
	@command -v latexmk >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(LATEX_PACKAGES) >/dev/null; \
	  else echo "LaTeX is missing; for the PDF run: sudo apt-get install --no-install-recommends $(LATEX_PACKAGES)" >&2; fi; }

# Installs Chromium, which the test of the page drives, when it is missing and this is root; else that test says why it does not run.
chromium:
	@{ command -v chromium && command -v chromedriver; } >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(CHROMIUM_PACKAGES) >/dev/null; \
	  else echo "Chromium is missing; for the test of the page run: sudo apt-get install --no-install-recommends $(CHROMIUM_PACKAGES)" >&2; fi; }

# Resolve requirements.in anew. torch keeps its spelling without a local version.
lock:
	python3 -m venv .work/lock && .work/lock/bin/pip install --quiet -r requirements.in
	.work/lock/bin/pip freeze --all | sed 's/+cpu$$//' | grep -viE '^(pip|polychromic)==' | sort -f > requirements.lock

# The store is committed: 60 MB over the project's life.
store-size:
	@size=$$(du -sm store | cut -f1); echo "store: $$size MB of 60"; test $$size -le 60
