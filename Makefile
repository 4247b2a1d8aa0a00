# Two commands do everything on a fresh machine: `make sweep` and `make test`. `make` alone explains the others.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

NAME ?= shallow
OUT ?= runs/$(NAME)
CONFIG ?= sweeps/base/small.yaml
BENCH ?= bss_eval data resolution training validation quality overhead search page startup separation quantised memory
SONGS := data/synthetic-20-4-2-16s-seed0

help: ## Show this help
	@echo 'usage: make TARGET [NAME=VALUE ...]'; echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/ready ffmpeg ## Make the virtual environment and install what the package needs

sweep: setup ## Answer a question: NAME=shallow DATA=folder TRIALS=n OUT=runs/NAME ARGS='--dotted.key=value'
	@$(BIN)/unetsep sweep 'sweeps/$(NAME).yaml' --out '$(OUT)' \
		$(if $(DATA),--data '$(DATA)') $(if $(TRIALS),--trials $(TRIALS)) $(ARGS)

fit: setup ## Train one network, or go on with it: CONFIG=file.yaml DATA=folder OUT=runs/fit ARGS='--dotted.key=value'
	@$(if $(DATA),,$(BIN)/unetsep data synth --out $(SONGS) --train 20 --valid 4 --test 2 --seconds 16 --seed 0)
	@$(BIN)/unetsep fit --config '$(CONFIG)' --data.root '$(or $(DATA),$(SONGS))' \
		--out '$(if $(filter file,$(origin OUT)),runs/fit,$(OUT))' --resume true $(ARGS)

report: setup ## Write the page of a sweep again: OUT=runs/NAME
	@$(BIN)/unetsep report '$(OUT)'

test: $(VENV)/ready-dev ffmpeg postgresql ## Run the tests, a few minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests -n 2 $(ARGS)

test-slow: $(VENV)/ready-dev ffmpeg postgresql chromium ## Run the tests that take longer
	$(BIN)/python -m pytest tests -m slow $(ARGS)

test-browser: $(VENV)/ready-dev chromium ## Open reports in Chromium, two or three minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/report/browser -m 'slow or not slow' -n 2 $(ARGS)

check: $(VENV)/ready-dev ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

notebooks: $(VENV)/ready-dev ## Execute every notebook
	$(BIN)/python -m pytest tests/test_notebooks.py -m 'slow or not slow' $(ARGS)

bench: $(VENV)/ready-bench ffmpeg chromium ## Run the benchmarks, several hours on a CPU: BENCH='bss_eval data ...' ARGS='--device=cuda'
	@mkdir -p benchmarks/results
	@for each in $(BENCH); do echo "== $$each"; \
		$(BIN)/python benchmarks/$$each.py --json benchmarks/results/$$each.json $(ARGS) || exit 1; done

clean: ## Remove the environment and what tools leave behind; runs and data stay
	rm -rf $(VENV) *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: an installation is made anew when the list of packages changes.
$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo 'unetsep needs Python 3.10 or newer: make PYTHON=python3.12 ...' >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo 'no virtual environment could be made: on Debian, apt-get install python3-venv' >&2; exit 2; }
	@echo 'Installing unetsep into $(VENV): about 5 GB, a minute or two on a fast network.'
	@$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[report]' | \
		grep --line-buffered -E '^(Collecting|Installing|Successfully|ERROR)' | cut -c1-110; exit $${PIPESTATUS[0]}
	@touch $@

$(VENV)/ready-dev: $(VENV)/ready
	@echo 'Installing what tests and checks need.'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(VENV)/ready-bench: $(VENV)/ready-dev
	@echo 'Installing what is measured beside unetsep.'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	@touch $@

# MUSDB18's stems and mp3 files are read through ffmpeg; everything else works without it.
ffmpeg:
	@command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null || { \
		echo 'Installing ffmpeg.'; \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && apt-get install -y -qq ffmpeg >/dev/null; \
		elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then \
			sudo apt-get update -qq && sudo apt-get install -y -qq ffmpeg >/dev/null; \
		else false; fi; } || \
		echo 'ffmpeg could not be installed here: MUSDB18 (.stem.mp4) cannot be read until you install it' \
			'(Debian: apt-get install ffmpeg; macOS: brew install ffmpeg; conda: conda install ffmpeg).' >&2

# Studies that several drivers share are tested against a server of the tests' own: Debian's package without the cluster
# and the service that it would make when it is first installed.
CLUSTERS := /etc/postgresql-common/createcluster.d
postgresql:
	@command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || ( \
		echo 'Installing PostgreSQL, which no more than the tests use.'; \
		as=; [ "$$(id -u)" = 0 ] || as='sudo -n'; \
		command -v apt-get >/dev/null && $$as true 2>/dev/null && $$as mkdir -p $(CLUSTERS) && \
			echo 'create_main_cluster = false' | $$as tee $(CLUSTERS)/unetsep.conf >/dev/null && \
			$$as apt-get update -qq && $$as env DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends postgresql >/dev/null; code=$$?; \
		! [ -e $(CLUSTERS)/unetsep.conf ] || $$as rm $(CLUSTERS)/unetsep.conf; exit $$code ) || \
		echo 'PostgreSQL could not be installed here: the tests that need it are skipped until you install it' \
			'(Debian: apt-get install postgresql; macOS: brew install postgresql; conda: conda install postgresql).' >&2

# Reports are opened in Debian's Chromium; playwright's own would be another download.
chromium:
	@command -v chromium chromium-browser google-chrome-stable google-chrome >/dev/null || ( \
		echo 'Installing Chromium, which no more than the tests use.'; \
		as=; [ "$$(id -u)" = 0 ] || as='sudo -n'; \
		command -v apt-get >/dev/null && $$as true 2>/dev/null && $$as apt-get update -qq && \
			$$as env DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null ) || \
		echo 'Chromium could not be installed here: the tests that need it are skipped until you install it' \
			'(Debian: apt-get install chromium).' >&2

.PHONY: help setup sweep fit report test test-slow test-browser check notebooks bench clean ffmpeg postgresql chromium
