"""What the image and the compose files promise, where no container can be started.

``make docker-test`` builds and runs the image for real.
"""

import json
import re
import shlex
from typing import Any

import pytest
import yaml
from freqtrade.commands import Arguments
from freqtrade.configuration.config_validation import validate_config_schema
from freqtrade.configuration.environment_vars import environment_vars_to_dict
from freqtrade.enums import RunMode

from freqai_lstm.tools.install import CONFIGURATION, shipped_files
from tests.conftest import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = ["docker-compose.yml", "docker-compose.gpu.yml"]
# The commands of the earlier project's users.
COMMANDS = [
    "download-data -c user_data/config-torch.json --timerange 20230101-20240529"
    " --timeframe 15m 30m 1h 2h 4h 8h 1d --erase",
    "backtesting -c user_data/config-torch.json --breakdown day week month"
    " --timerange 20240301-20240401",
    "trade -c user_data/config-torch.json",
]


def compose(name: str) -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))["services"]
    return services


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_accepted(command: str) -> None:
    assert "func" in Arguments(shlex.split(command)).get_parsed_arg()


def test_every_version_comes_from_the_constraints() -> None:
    assert "PIP_CONSTRAINT=/build/constraints.txt" in DOCKERFILE
    assert not re.findall(r"[\w-]+==\d", DOCKERFILE)


def test_base_and_torch_are_build_arguments_with_defaults() -> None:
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", DOCKERFILE, re.MULTILINE))
    assert arguments == {"BASE": "python:3.11-slim", "TORCH": "cpu", "FREQUI": "yes"}


def test_last_stage_takes_the_environment_alone() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    assert len(stages) == 2
    last = stages[-1]
    assert re.findall(r"^COPY --from=build (.*)", last, re.MULTILINE) == ["/opt/freqai /opt/freqai"]
    assert "pip" not in last
    assert "apt" not in last


def test_freqtrade_starts_as_the_owner_of_the_mounted_folder() -> None:
    assert 'ENTRYPOINT ["as-owner", "freqtrade"]' in DOCKERFILE
    entrypoint = (ROOT / "docker" / "as-owner").read_text(encoding="utf-8")
    assert "setpriv --reuid" in entrypoint
    assert (ROOT / "docker" / "as-owner").stat().st_mode & 0o111


def test_health_check_is_the_heartbeat_of_a_log_that_freqtrade_writes() -> None:
    assert '["python", "-m", "freqai_lstm.tools.heartbeat"]' in DOCKERFILE
    assert "FREQTRADE__LOGFILE=" in DOCKERFILE


def test_build_sees_all_that_it_copies() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    for needed in ("constraints.txt", "pyproject.toml", "README.md", "LICENSE", "freqai_lstm"):
        assert f"!{needed}" in ignored
    for file in shipped_files().values():
        place = file.relative_to(ROOT)
        assert any(
            place.match(line.removeprefix("!")) for line in ignored if line.startswith("!")
        ), place


@pytest.mark.parametrize("name", COMPOSE)
def test_ports_are_open_to_this_machine_alone(name: str) -> None:
    for service in compose(name).values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_credentials_come_from_the_environment() -> None:
    environment = compose("docker-compose.yml")["freqtrade"]["environment"]
    for key in ("PASSWORD", "JWT_SECRET_KEY"):
        # Without a value, docker compose refuses to start.
        assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", environment[f"FREQTRADE__API_SERVER__{key}"])
    assert not [key for key in environment if key.startswith("FREQTRADE__EXCHANGE")]


def test_freqtrade_accepts_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in compose("docker-compose.yml")["freqtrade"]["environment"].items():
        monkeypatch.setenv(name, re.sub(r"\$\{\w+:-(\w+)\}|\$\{.*\}", r"\1", value) or "a1" * 16)
    config = json.loads((ROOT / CONFIGURATION).read_text(encoding="utf-8"))
    config |= environment_vars_to_dict()
    # What the strategy adds before freqtrade validates.
    config.update(runmode=RunMode.DRY_RUN, stoploss=-0.06, minimal_roi={"0": 0.1})
    checked = validate_config_schema(config)
    assert checked["dry_run"] is True
    assert checked["api_server"]["enabled"] is True
    assert checked["api_server"]["listen_port"] == 8080
    assert checked["api_server"]["username"] == "freqtrader"


def test_compose_trades_play_money_with_the_shipped_configuration() -> None:
    service = compose("docker-compose.yml")["freqtrade"]
    assert service["environment"]["FREQTRADE__DRY_RUN"] == "true"
    assert service["command"] == f"trade -c user_data/{CONFIGURATION}"
    assert service["volumes"] == ["./data:/freqtrade/user_data/data"]


def test_gpu_variant_builds_for_cuda_and_asks_for_a_card() -> None:
    service = compose("docker-compose.gpu.yml")["freqtrade"]
    assert service["build"]["args"] == {"TORCH": "cuda"}
    devices = service["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]
