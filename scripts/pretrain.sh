#!/usr/bin/env bash
# Trains all models of scripts/backtest.sh ahead, JOBS at a time. Run by
# scripts/with_replay_exchange.sh.
set -euo pipefail
source scripts/replay_market.sh

freqai-lstm pretrain "${options[@]}" --timerange "$TIMERANGE" --jobs "$JOBS"
