#!/usr/bin/env bash
# Builds the image with buildah and runs the README's commands in it, against the replay exchange.
# Run by scripts/with_replay_exchange.sh.
#
# Environment: BASE, a base image in place of one that debootstrap makes; REPLAY_CONFIG from
# scripts/with_replay_exchange.sh. Needs root, since a chroot takes the place of containers.
set -euo pipefail
[[ $(id --user) == 0 ]] || { echo "docker-test: skipped, needs root"; exit 0; }
BASE=${BASE:-}
timerange=20240301-20240401
host_user=4242

work=$(mktemp -d)
export BUILDAH_ISOLATION=chroot
buildah() { command buildah --storage-driver vfs --root "$work/storage" --runroot "$work/run" "$@"; }
trap 'buildah rm --all >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
fail() { echo "docker-test: FAILED: $*" >&2; exit 1; }

if [[ -z $BASE ]]; then
    echo "docker-test: making a base image"
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
        bookworm "$work/base" >"$work/debootstrap.log" || { cat "$work/debootstrap.log"; exit 1; }
    rm -rf "$work"/base/var/cache/apt/*.bin "$work"/base/var/cache/apt/archives/*.deb
    BASE=localhost/bookworm-python
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$work/base" / >/dev/null
    buildah commit --quiet "$container" "$BASE" >/dev/null
    buildah rm "$container" >/dev/null
    rm -rf "$work/base"
fi

# The build gets its packages as pip does here: from the same index, with the same certificates.
mapfile -t volumes < <(python - "$work/pip.conf" <<'PYTHON'
import ast, pathlib, subprocess, sys

listed = subprocess.run(
    [sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
).stdout.splitlines()
settings = {}
for line in sorted(listed, key=lambda line: line.startswith(":env:")):
    name, _, value = line.partition("=")
    settings[name.rpartition(".")[2]] = ast.literal_eval(value)
settings.pop("constraint", None)
lines = [f"{name} = {value}" for name, value in settings.items()]
pathlib.Path(sys.argv[1]).write_text("\n".join(["[global]", *lines, ""]))
print(f"--volume={sys.argv[1]}:/etc/pip.conf:ro")
for word in sorted({word for value in settings.values() for word in value.split()}):
    # The pages of an index on disk point at files beside them.
    path = pathlib.Path(word.removeprefix("file://"))
    path = path.parent if word.startswith("file://") else path
    if path.is_absolute() and path.exists():
        print(f"--volume={path}:{path}:ro")
PYTHON
)
echo "docker-test: building"
buildah bud --format docker --tag freqai --build-arg BASE="$BASE" --build-arg FREQUI=no \
    "${volumes[@]}" . >"$work/build.log" 2>&1 || { tail -n 50 "$work/build.log"; fail "no image"; }

container=$(buildah from localhost/freqai)
mapfile -t entrypoint < <(buildah inspect --type image localhost/freqai |
    python -c 'import json, sys; print(*json.load(sys.stdin)["Docker"]["config"]["Entrypoint"], sep="\n")')
data=$work/data

# The exchange, and a single epoch: the image is tested, not the network.
python - "$REPLAY_CONFIG" >"$work/replay.json" <<'PYTHON'
import json, pathlib, sys

config = json.loads(pathlib.Path(sys.argv[1]).read_text())
config["freqai"]["model_training_parameters"] = {"trainer_kwargs": {"n_epochs": 1}}
print(json.dumps(config))
PYTHON

run() {
    buildah run --volume "$data:/freqtrade/user_data/data" \
        --volume "$work/replay.json:/replay.json:ro" "$container" -- "$@"
}
# What docker run does: the image's entry point with the arguments, and one folder mounted.
freqai() { run "${entrypoint[@]}" "$@"; }
# The same for another program than freqtrade.
inside() { run as-owner "$@"; }
owners() { find "$data" -printf '%U\n' | sort --unique | paste --serial --delimiters ' '; }

echo "docker-test: what is in the image"
mkdir "$data"
chown "$host_user" "$data"
inside sh -c '! command -v gcc cc make' || fail "build tools in the image"
inside sh -c '! python -m pip --version' 2>/dev/null || fail "pip in the image"
inside python -m freqai_lstm.tools.heartbeat
[[ $(inside id --user) == "$host_user" ]] || fail "runs as $(inside id --user)"
echo "docker-test: $(inside du --summarize --human-readable /opt/freqai | cut -f 1) in /opt/freqai"

echo "docker-test: the README's commands"
freqai download-data -c user_data/config-torch.json -c /replay.json \
    --timerange 20230101-20240529 --timeframe 15m 30m 1h 2h 4h 8h 1d --erase
freqai backtesting -c user_data/config-torch.json -c /replay.json \
    --breakdown day week month --timerange "$timerange"
inside freqai-lstm skill -c user_data/config-torch.json -c /replay.json --timerange "$timerange"

for pair in BTC ETH AVAX; do
    for timeframe in 15m 30m 1h 2h 4h 8h 1d; do
        file=binance/futures/${pair}_USDT_USDT-$timeframe-futures.feather
        [[ -s $data/$file ]] || fail "no $file"
    done
done
compgen -G "$data/backtest_results/backtest-result-*.zip" >/dev/null || fail "no backtest result"
compgen -G "$data/models/*/backtesting_predictions/*" >/dev/null || fail "no predictions"
[[ $(owners) == "$host_user" ]] || fail "files of the users $(owners), not of $host_user"

echo "docker-test: a folder that Docker made, and docker run --user"
data=$work/made
mkdir "$data"
[[ $(inside id --user) == 1000 && $(owners) == 1000 ]] || fail "root's folder: $(owners)"
data=$work/users
mkdir "$data"
chown 1234:1234 "$data"
# Docker starts each command in a new container; here, the log of the one before is in the way.
buildah run "$container" -- rm /tmp/freqtrade.log
found=$(buildah run --user 1234:1234 --volume "$data:/freqtrade/user_data/data" "$container" -- \
    as-owner sh -c 'freqtrade list-strategies --userdir user_data >/dev/null 2>&1 && id --user')
[[ $found == 1234 && $(owners) == 1234 ]] || fail "--user: ran as $found, files of $(owners)"
echo "docker-test: passed"
