# Sourced by the scripts that run freqtrade on the replay exchange: chooses the models' identifier,
# downloads the candles, and leaves freqtrade's options in the array `options`.
#
# Environment: CONFIG, PAIRS and TIMERANGE as in the Makefile; REPLAY_CONFIG from
# scripts/with_replay_exchange.sh.

read -ra configs <<<"$CONFIG"
read -ra pairs <<<"$PAIRS"
options=(--userdir user_data --datadir user_data/data/replay --pairs "${pairs[@]}")
for config in "${configs[@]}" "$REPLAY_CONFIG"; do
    options+=(--config "$config")
done

# Models are kept for each market and configuration, so that a second run reuses its own alone.
FREQTRADE__FREQAI__IDENTIFIER=$(python - "$REPLAY_CONFIG" "${configs[@]}" <<'EOF'
import hashlib, json, pathlib, sys

market, *configs = map(pathlib.Path, sys.argv[1:])
digest = hashlib.sha256(b"".join(config.read_bytes() for config in configs)).hexdigest()
print(json.loads(market.read_text())["freqai"]["identifier"] + "-" + digest[:8])
EOF
)
export FREQTRADE__FREQAI__IDENTIFIER

# Everything the exchange has: the training windows and the warm-up reach far before TIMERANGE.
freqtrade download-data "${options[@]}" --timerange "20200101-${TIMERANGE#*-}" \
    --timeframes 1h 2h 4h --erase
