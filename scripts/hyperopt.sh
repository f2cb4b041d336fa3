#!/usr/bin/env bash
# Searches the weights and thresholds on the first part of TIMERANGE and confirms what it found on
# the rest. Run by scripts/with_replay_exchange.sh.
#
# Environment: EPOCHS, JOBS, LOSS, SPLIT and FOLDS as in the Makefile, the rest as in replay_market.sh.
set -euo pipefail
source scripts/replay_market.sh

freqai-lstm confirm "${options[@]}" --timerange "$TIMERANGE" --split "$SPLIT" \
    --folds "$FOLDS" --epochs "$EPOCHS" --hyperopt-loss "$LOSS" --job-workers "$JOBS" --random-state 1
