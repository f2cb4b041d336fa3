"""What travels to a worker: configuration and code, without folders and without secrets."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from freqai_lstm.offline import load_offline_strategy

# Where a bot reports to, with tokens and passwords; and a second copy of everything.
_PRIVATE_SECTIONS = (
    *("api_server", "discord", "external_message_consumer", "telegram", "webhook"),
    "original_config",
)
# Paths of the machine that the project comes from.
_PATHS = ("freqaimodel_path", "recursive_strategy_search", "strategy_path")


@dataclass(frozen=True)
class Project:
    """A strategy and its regressor, to be opened in any folder of any machine.

    ``config`` has neither paths nor keys of an account. ``files`` are the strategy, the prediction
    model and what lies beside them, by their paths in a user directory. ``models`` is the folder
    that the identifier has at home.
    """

    config: dict[str, Any]
    files: dict[str, bytes]
    models: str

    def open(self, userdir: Path, timerange: str) -> Any:
        """Return the strategy with its regressor, as a backtest of the timerange loads them.

        :param userdir: An empty folder, the user directory of this backtest.
        :param timerange: The timerange.
        """
        for name, content in self.files.items():
            file = userdir / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        (userdir / "models").mkdir()
        config = copy.deepcopy(self.config) | {"user_data_dir": userdir, "timerange": timerange}
        return load_offline_strategy(config)


def pack_project(config: dict[str, Any], strategy: Any, threads: int) -> Project:
    """Pack a strategy whose regressor is loaded.

    :param config: freqtrade's configuration.
    :param strategy: The strategy.
    :param threads: Most CPU threads that a worker may use.
    """
    packed = copy.deepcopy(
        {
            key: value
            for key, value in config.items()
            if key not in _PRIVATE_SECTIONS and key not in _PATHS
        }
    )
    packed["exchange"] = {key: packed["exchange"][key] for key in ("name", "pair_whitelist")}
    trainer = packed["freqai"].setdefault("model_training_parameters", {})
    trainer = trainer.setdefault("trainer_kwargs", {})
    settings = strategy.freqai.settings.model_training_parameters.trainer_kwargs
    # A bar for each epoch would tear the one over all models.
    trainer.update(progress_bar=False, num_threads=min(settings.num_threads, threads))
    files: dict[str, bytes] = {}
    for folder, owner in (("strategies", strategy), ("freqaimodels", strategy.freqai)):
        file = Path(owner.__file__)
        beside = [*file.parent.glob("*.py"), *file.parent.glob(f"{file.stem}.json")]
        files |= {f"{folder}/{path.name}": path.read_bytes() for path in beside}
    return Project(packed, files, str(strategy.freqai.full_path))
