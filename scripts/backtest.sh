#!/usr/bin/env bash
# Runs freqtrade's walk-forward backtest on the replay exchange and prints how well the model
# predicted, in a table and in a page with plots. Run by scripts/with_replay_exchange.sh.
set -euo pipefail
source scripts/replay_market.sh

freqtrade backtesting "${options[@]}" --timerange "$TIMERANGE" --cache none --breakdown month
freqai-lstm report "${options[@]}" --timerange "$TIMERANGE"
