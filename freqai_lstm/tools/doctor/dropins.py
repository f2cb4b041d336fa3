"""Loads the strategy and the freqaimodel as a bot does, and says what is wrong with them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from freqtrade.optimize.hyperopt_tools import HyperoptTools
from freqtrade.resolvers import StrategyResolver
from freqtrade.resolvers.freqaimodel_resolver import FreqaiModelResolver

from freqai_lstm.bridge.incidents import described
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.tools.doctor.findings import Finding, listening
from freqai_lstm.tools.install import DROP_INS


@dataclass(frozen=True)
class DropIn:
    """What a configuration names, and who loads it.

    :param key: The configuration's key with the name of the class.
    :param resolver: freqtrade's class that finds it.
    """

    key: str
    resolver: Any

    def folders(self, config: Mapping[str, Any]) -> list[Path]:
        """Return where freqtrade looks for it."""
        places = self.resolver.build_search_paths(config, user_subdir=self.resolver.user_subdir)
        return [*map(Path, places)]

    def file(self, config: Mapping[str, Any]) -> Path | None:
        """Return the first file with a class of its name, as freqtrade looks for it."""
        pattern = "**/*.py" if config.get("recursive_strategy_search") else "*.py"
        for folder in self.folders(config):
            for file in sorted(folder.glob(pattern)):
                if f"class {config[self.key]}(" in file.read_text(
                    encoding="utf-8", errors="replace"
                ):
                    return file
        return None

    def examine(self, config: Mapping[str, Any], load: Callable[[], Any]) -> tuple[Any, Finding]:
        """Load it.

        :param load: Loads it with this configuration.
        :return: What was loaded, None if nothing was; and what was found.
        :raises SettingsError: If it is this package's, and the configuration has problems.
        """
        name = config.get(self.key)
        if not name:
            problem = (
                f"{self.key}: is required, in the configuration or as --{self.key}, was missing"
            )
            return None, Finding(self.key, "none", problem)
        file = self.file(config)
        with listening() as heard:
            try:
                return load(), Finding(self.key, name)
            except SettingsError:
                raise
            except Exception as error:  # noqa: BLE001 - it is anybody's code
                problem = self._problem(config, file, error, heard)
        return None, Finding(self.key, f"{name}, not loaded", problem)

    def _problem(
        self, config: Mapping[str, Any], file: Path | None, error: Exception, heard: list[str]
    ) -> str:
        name = config[self.key]
        if file is None:
            folders = ", ".join(map(str, self.folders(config)))
            problem = f"{self.key}: must be a class of a file in {folders}, was {name!r}"
            if any(Path(place).stem == name for place in DROP_INS):
                userdir = config["user_data_dir"]
                problem += f"; freqai-lstm install --userdir {userdir} puts it there"
            return problem
        # freqtrade logs why a file cannot be imported, and raises that nothing was found.
        imports = [line for line in heard if line.startswith("Could not import")]
        reason = "; ".join(imports) or described(error)
        base = self.resolver.object_type.__name__
        return f"{file}: {name} must be an {base} that loads with this configuration, was: {reason}"


STRATEGY = DropIn("strategy", StrategyResolver)
MODEL = DropIn("freqaimodel", FreqaiModelResolver)


def load_strategy(config: dict[str, Any]) -> tuple[Any, list[Finding]]:
    """Load the strategy with its parameters.

    :param config: freqtrade's configuration; it takes up what the strategy sets.
    :return: The strategy, None if it cannot be loaded; and what was found.
    """
    parameters = [*check_parameters(config)]
    strategy, finding = STRATEGY.examine(config, lambda: StrategyResolver.load_strategy(config))
    if strategy is None and any(one.problem for one in parameters):
        finding = replace(finding, problem="")
    return strategy, [finding, *parameters]


def load_model(config: Mapping[str, Any], trial: dict[str, Any]) -> tuple[Any, Finding]:
    """Load the freqaimodel.

    :param config: freqtrade's configuration, which says where it is.
    :param trial: What it is loaded with: a model writes into the folder of its identifier at once,
        so this is to have another ``user_data_dir``.
    :return: The model, None if it cannot be loaded; and what was found.
    :raises SettingsError: If it is this package's, and the configuration has problems.
    """

    def load() -> Any:
        name = config["freqaimodel"]
        return FreqaiModelResolver.load_object(name, config, kwargs={"config": trial})

    return MODEL.examine(config, load)


def check_parameters(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Report the file with the parameters of the strategy, if it has one."""
    source = STRATEGY.file(config) if config.get("strategy") else None
    if source is None or not (file := source.with_suffix(".json")).is_file():
        return
    try:
        parameters = HyperoptTools.load_params_from_file(file)
    except (OSError, ValueError) as error:
        problem = (
            f"{file}: must be JSON as freqtrade hyperopt writes it, was: {error}. freqtrade trades "
            f"without it, on the strategy's own values; mend it or remove it."
        )
        yield Finding("parameters", file.name, problem)
        return
    named = parameters.get("strategy_name") if isinstance(parameters, dict) else None
    problem = ""
    if named != config["strategy"]:
        problem = (
            f"{file}: strategy_name must be {config['strategy']!r}, was {named!r}; freqtrade does "
            f"not load the strategy with it"
        )
    yield Finding("parameters", file.name, problem)
