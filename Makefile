# Everything runs in a virtual environment of its own, made on first use.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# `make backtest` takes these; DATADIR replays recorded candles instead of a synthetic market.
# TRADING_MODE=spot needs PAIRS such as BTC/USDT, and user_data/config-spot.json in CONFIG.
CONFIG ?= config-torch.json
PAIRS ?= BTC/USDT:USDT ETH/USDT:USDT SOL/USDT:USDT
TIMERANGE ?= 20240101-20240331
DATADIR ?=
TRADING_MODE ?= futures
REPLAY := --trading-mode $(TRADING_MODE) $(if $(DATADIR),--datadir "$(DATADIR)")

# `make pretrain` takes JOBS too, `make hyperopt` all: it searches on the first SPLIT of TIMERANGE,
# and confirms on the rest in FOLDS parts.
EPOCHS ?= 40
JOBS ?= 1
LOSS ?= SharpeHyperOptLossDaily
SPLIT ?= 0.67
FOLDS ?= 1

SOURCES := freqai_lstm user_data/freqaimodels user_data/strategies tests benchmarks

# `make docker-test` takes a base image, in place of one that it makes with debootstrap.
BASE ?=
MISSING := $(strip $(foreach tool,buildah $(if $(BASE),,debootstrap),$(if $(shell command -v $(tool)),,$(tool))))

# Many processes import the same libraries: none should compile them anew.
unexport PYTHONDONTWRITEBYTECODE
export BASE CONFIG PAIRS TIMERANGE EPOCHS JOBS LOSS SPLIT FOLDS
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help install install-dev backtest pretrain hyperopt test test-long docker-test bench check format clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(VENV)/.installed ## Make the virtual environment with all that running needs

install-dev: $(VENV)/.installed-dev ## Make it with the tools for developing too

backtest: $(VENV)/.installed ## Walk forward over the replay market, offline
	scripts/with_replay_exchange.sh $(REPLAY) -- scripts/backtest.sh

pretrain: $(VENV)/.installed ## Train the models of make backtest ahead, in parallel
	scripts/with_replay_exchange.sh $(REPLAY) -- scripts/pretrain.sh

hyperopt: $(VENV)/.installed ## Search weights and thresholds, and confirm them, offline
	scripts/with_replay_exchange.sh $(REPLAY) -- scripts/hyperopt.sh

# The files that take longest come first, so that no process ends with one of them alone.
test: $(VENV)/.installed-dev ## Run the tests
	pytest --numprocesses auto --dist loadfile --no-loadscope-reorder \
		tests/integration tests/unit/tools tests/unit tests/contract

test-long: $(VENV)/.installed-dev ## Run the long tests: a live bot, kills, faults, a soak, a Ray cluster
	pytest -m long --override-ini addopts="-ra --capture=no --durations=0 --durations-min=1"

docker-test: $(if $(MISSING),,$(VENV)/.installed) ## Build the image with buildah and backtest in it, offline
	@$(if $(MISSING),echo "docker-test: skipped: not installed: $(MISSING)",scripts/with_replay_exchange.sh -- scripts/docker_test.sh)

bench: $(VENV)/.installed ## Measure trainings and predictions, walks, live retrainings, and memory
	python -m benchmarks.speed $(if $(DATADIR),--datadir "$(DATADIR)")
	python -m benchmarks.walk $(if $(DATADIR),--datadir "$(DATADIR)")
	python -m benchmarks.live $(if $(DATADIR),--datadir "$(DATADIR)")
	python -m benchmarks.memory $(if $(DATADIR),--datadir "$(DATADIR)")

check: $(VENV)/.installed-dev ## Lint, type-check and spell-check
	ruff format --check $(SOURCES)
	ruff check $(SOURCES)
	mypy
	lint-imports
	codespell

format: $(VENV)/.installed-dev ## Format the code
	ruff format $(SOURCES)
	ruff check --fix $(SOURCES)

clean: ## Remove the virtual environment and all caches, but no user data
	rm -rf $(VENV) build *.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# torch first and by its exact version, since that alone decides which build of it is taken.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet --no-compile "$$(grep '^torch==' constraints.txt)"
	$(BIN)/pip install --quiet --no-compile --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --no-compile --constraint constraints.txt --editable .[dev]
	touch $@
