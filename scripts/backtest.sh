#!/usr/bin/env bash
# Downloads candles from the replay exchange, runs freqtrade's walk-forward backtest over them and
# prints how well the model predicted. Run by scripts/with_replay_exchange.sh.
#
# Environment: CONFIG, PAIRS and TIMERANGE as in the Makefile, REPLAY_CONFIG from the wrapper.
set -euo pipefail

read -ra pairs <<<"$PAIRS"
options=(--userdir user_data --datadir user_data/data/replay --pairs "${pairs[@]}")
for config in $CONFIG "$REPLAY_CONFIG"; do
    options+=(--config "$config")
done
# Models are kept for each market and configuration, so that a second run reuses its own alone.
FREQTRADE__FREQAI__IDENTIFIER=$(python - "$REPLAY_CONFIG" $CONFIG <<'EOF'
import hashlib, json, pathlib, sys

market, *configs = map(pathlib.Path, sys.argv[1:])
digest = hashlib.sha256(b"".join(config.read_bytes() for config in configs)).hexdigest()
print(json.loads(market.read_text())["freqai"]["identifier"] + "-" + digest[:8])
EOF
)
export FREQTRADE__FREQAI__IDENTIFIER
# Everything the exchange has: the training windows and the warm-up reach far before TIMERANGE.
history=20200101-${TIMERANGE#*-}

freqtrade download-data "${options[@]}" --timerange "$history" --timeframes 1h 2h 4h --erase
freqtrade backtesting "${options[@]}" --timerange "$TIMERANGE" --cache none --breakdown month
freqai-lstm skill "${options[@]}" --timerange "$TIMERANGE"
