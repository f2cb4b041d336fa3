#!/usr/bin/env bash
# Runs a command while the replay exchange is up.
#
#   scripts/with_replay_exchange.sh [REPLAY OPTIONS ...] -- COMMAND ...
#
# The command finds in $REPLAY_CONFIG a freqtrade configuration that points at the exchange. The
# exchange stops with the command, however it ends.
set -euo pipefail

options=()
while [[ $# -gt 0 && $1 != -- ]]; do
    options+=("$1")
    shift
done
[[ $# -gt 1 ]] || { echo "usage: $0 [REPLAY OPTIONS ...] -- COMMAND ..." >&2; exit 2; }
shift

folder=$(mktemp -d)
export REPLAY_CONFIG="$folder/config-replay.json"
freqai-lstm replay --port 0 --overlay "$REPLAY_CONFIG" "${options[@]}" &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT

until [[ -s $REPLAY_CONFIG ]]; do
    kill -0 "$server" 2>/dev/null || { wait "$server"; exit; }
    sleep 0.1
done

"$@"
