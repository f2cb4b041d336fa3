"""The README's commands work as written, and it knows every key."""

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from freqtrade.commands import Arguments
from freqtrade.configuration.config_validation import validate_config_schema
from freqtrade.configuration.environment_vars import environment_vars_to_dict
from freqtrade.enums import RunMode
from freqtrade.misc import deep_merge_dicts
from pydantic import BaseModel

from freqai_lstm.cli import parse_arguments
from freqai_lstm.settings import FreqaiSettings, NetworkSettings, TrainerSettings
from tests.conftest import ROOT

READMES = ["README.md", "README.zh-CN.md"]
CONFIGURATION = "docs/configuration.md"
PAGES = ["README.md", CONFIGURATION, "docs/markets.md", "docs/tools.md"]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def commands(name: str) -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", read(name), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def check_docker(arguments: list[str]) -> None:
    match arguments:
        case ["build", "-t", "freqai", "."]:
            assert (ROOT / "Dockerfile").is_file()
        case ["run", "-v", "./data:/freqtrade/user_data/data", "-it", "freqai", *command]:
            assert "func" in Arguments(command).get_parsed_arg()
        case ["compose", *files, "up", "--build"]:
            assert all((ROOT / file).is_file() for file in files if file != "-f")
        case _:
            pytest.fail(f"no such use of docker: {arguments}")


def check_export(assignments: list[tuple[str, str]]) -> None:
    names = [name for name, _ in assignments]
    if names[0].startswith("FREQUI_"):
        assert names == re.findall(r"\$\{(FREQUI_\w+):\?", read("docker-compose.yml"))
        return
    with pytest.MonkeyPatch.context() as environment:
        for name, value in assignments:
            environment.setenv(name, value)
        known = json.loads(read("config-torch.json"))
        config = deep_merge_dicts(environment_vars_to_dict(), known)
        # What the strategy adds before freqtrade validates.
        strategy = {"stoploss": -0.06, "minimal_roi": {"0": 0.1}}
        validate_config_schema(config | strategy | {"runmode": RunMode.DRY_RUN})


@pytest.mark.parametrize(
    "command", dict.fromkeys(line for page in PAGES for line in commands(page))
)
def test_command_is_accepted_by_its_program(command: str) -> None:
    program, *arguments = shlex.split(command)
    match program:
        case "make":
            target = arguments[0]
            assert re.search(rf"^{target}:.*## ", read("Makefile"), re.MULTILINE)
            for assignment in arguments[1:]:
                variable = assignment.split("=", 1)[0]
                assert re.search(rf"^{variable} \?=", read("Makefile"), re.MULTILINE)
        case "freqtrade":
            assert "func" in Arguments(arguments).get_parsed_arg()
        case "freqai-lstm":
            assert callable(parse_arguments(arguments).run)
        case "docker":
            check_docker(arguments)
        case "pip":
            assert arguments == ["install", "."]
        case "tensorboard":
            identifier = json.loads(read("config-torch.json"))["freqai"]["identifier"]
            assert arguments == ["--logdir", f"user_data/models/{identifier}"]
        case "export":
            check_export([argument.partition("=")[::2] for argument in arguments])
        case "source":
            assert arguments == [".venv/bin/activate"]
        case _:
            pytest.fail(f"no such program: {program}")


def test_translation_has_the_same_commands_and_tables() -> None:
    english, chinese = (read(name) for name in READMES)
    assert commands("README.zh-CN.md") == commands("README.md")
    for marker in (r"^#+ ", r"^\| ", r"^```"):
        assert len(re.findall(marker, chinese, re.MULTILINE)) == len(
            re.findall(marker, english, re.MULTILINE)
        )
    # Every figure of a table stands in both.
    figures = r"(?<![\w.-])-?\d+\.\d+"
    assert sorted(re.findall(figures, chinese)) == sorted(re.findall(figures, english))


def keys(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in section.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from keys(annotation, f"{name}.")
        else:
            yield prefix + name, field.default


@pytest.mark.parametrize("key", [key for key, _ in keys(FreqaiSettings)])
def test_every_key_is_described(key: str) -> None:
    short = key.removeprefix("feature_parameters.").removeprefix("model_training_parameters.")
    assert f"`{short}`" in read(CONFIGURATION) or key == "enabled"


@pytest.mark.parametrize("section", [NetworkSettings, TrainerSettings])
def test_defaults_are_the_codes(section: type[BaseModel]) -> None:
    prefix = "model_kwargs" if section is NetworkSettings else "trainer_kwargs"
    for key, default in keys(section):
        row = re.search(rf"^\| `{prefix}\.{key}` \| (\S+) \|", read(CONFIGURATION), re.MULTILINE)
        assert row is not None, key
        assert json.loads(row.group(1)) == default


@pytest.mark.parametrize("page", [*READMES, *PAGES[1:]])
def test_links_lead_somewhere(page: str) -> None:
    folder = (ROOT / page).parent
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", read(page)):
        file = (folder / target).resolve() if target else ROOT / page
        assert file.exists(), target
        headings = (
            re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            if anchor
            else []
        )
        slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in slugs, anchor
