"""Guards FreqAI's ``identifier``: the folder's models must have been trained with these settings.

FreqAI reuses saved models and predictions by file name alone, so a changed setting under an old
identifier silently gives old predictions. A manifest in the identifier's folder says what its
models were trained with.
"""

import ast
import hashlib
import inspect
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from freqai_lstm.exceptions import SettingsError
from freqai_lstm.files import replacing
from freqai_lstm.model import MODEL_VERSION
from freqai_lstm.salvage import set_aside
from freqai_lstm.settings import FreqaiSettings

MANIFEST_NAME = "freqai_lstm.json"

_ADDED_LATER = {"freqai.model_training_parameters.model_kwargs.ensemble_size": 1}
"""Settings that older manifests do not have, with what their models were trained with."""

FEATURE_METHODS = (
    "feature_engineering_expand_all",
    "feature_engineering_expand_basic",
    "feature_engineering_standard",
    "set_freqai_targets",
)
"""The methods of a strategy that make features and labels."""


class IdentifierGuard:
    """Compares what the models of an identifier were trained with to the present settings.

    :param folder: The identifier's folder, ``user_data/models/<identifier>``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest_path = folder / MANIFEST_NAME

    def check(self, present: dict[str, Any]) -> None:
        """Refuse a changed setting, or record settings that are not known yet.

        Models that another version of this package wrote are moved aside: nothing can use them.

        :param present: Settings by dotted key; keys the manifest does not have are added to it.
        :raises SettingsError: If saved models were trained with other settings; it names each
            difference.
        """
        recorded = self._recorded()
        ours, theirs = present.get("model_version"), recorded.get("model_version")
        if ours != theirs and None not in (ours, theirs) and self._has_models():
            set_aside(
                self.folder,
                f"models of version {theirs}, this package writes {ours}",
                "all pairs are trained again",
            )
            recorded = {}
        self.refuse_changed(present)
        if recorded != recorded | present:
            self._write(recorded | present)

    def refuse_changed(self, present: dict[str, Any]) -> None:
        """Refuse a changed setting, and leave everything as it is.

        :param present: Settings by dotted key.
        :raises SettingsError: If saved models were trained with other settings; it names each
            difference.
        """
        recorded = _ADDED_LATER | self._recorded()
        differences = [
            f"{key}: trained with {recorded[key]!r}, was {value!r}"
            for key, value in present.items()
            if recorded.get(key, value) != value
        ]
        if differences and self._has_models():
            lines = "\n".join(f"  {difference}" for difference in differences)
            raise SettingsError(
                f"freqai.identifier: {self.folder.name!r} has models that were trained with other "
                f"settings. Choose another identifier, or set these back:\n{lines}"
            )

    def _recorded(self) -> dict[str, Any]:
        try:
            content = self.manifest_path.read_bytes()
        except FileNotFoundError:
            if self._has_models():
                raise SettingsError(
                    f"freqai.identifier: {self.folder.name!r} has models but no {MANIFEST_NAME}, "
                    f"so they are not this regressor's. Choose another identifier."
                ) from None
            return {}
        try:
            recorded = json.loads(content)
        except ValueError as error:
            raise self._corrupted(str(error)) from error
        if not isinstance(recorded, dict):
            raise self._corrupted(f"a {type(recorded).__name__}")
        return recorded

    def _corrupted(self, found: str) -> SettingsError:
        return SettingsError(
            f"{self.manifest_path}: must be a JSON object, was {found}. Choose another "
            f"freqai.identifier, or delete the folder to train again."
        )

    def _has_models(self) -> bool:
        return any(self.folder.glob("sub-train-*/*")) or any(
            self.folder.glob("backtesting_predictions/*")
        )

    def _write(self, settings: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self.manifest_path) as temporary:
            temporary.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def trained_with(settings: FreqaiSettings, timeframe: str, model_name: str) -> dict[str, Any]:
    """Return every setting that a saved model depends on.

    :param settings: The ``freqai`` section.
    :param timeframe: The base timeframe.
    :param model_name: Class name of the prediction model.
    :return: Settings by dotted key, as JSON holds them.
    """
    model = settings.model_training_parameters
    # What is left out does not change what is learned.
    trainer = model.trainer_kwargs.model_dump(exclude={"device", "num_threads", "progress_bar"})
    features = settings.feature_parameters.model_dump(exclude={"plot_feature_importances"})
    sections = {
        "model_training_parameters": {"learning_rate": model.learning_rate},
        "model_training_parameters.model_kwargs": model.model_kwargs.model_dump(),
        "model_training_parameters.trainer_kwargs": trainer,
        "feature_parameters": features,
        "data_split_parameters": settings.data_split_parameters.model_dump(),
    }
    return {
        "model": model_name,
        "model_version": MODEL_VERSION,
        "timeframe": timeframe,
        "freqai.train_period_days": settings.train_period_days,
        "freqai.continual_learning": settings.continual_learning,
    } | {
        f"freqai.{section}.{key}": value
        for section, values in sections.items()
        for key, value in values.items()
    }


def labelled_by(strategy: Any, labels: Iterable[str]) -> dict[str, Any]:
    """Return what a saved model takes from the strategy: its labels, and the code of its features.

    The code of the strategy's own methods that these call counts too; comments, docstrings and
    formatting do not.

    :param strategy: The running strategy.
    :param labels: The names of the labels it sets.
    :return: Settings by dotted key, as JSON holds them.
    """
    return {"labels": sorted(labels), **featured_by(strategy)}


def featured_by(strategy: Any) -> dict[str, Any]:
    """Return the part of :func:`labelled_by` that needs no candles: digests of the code.

    :param strategy: The strategy.
    """
    return {f"code of {name}": _code_digest(type(strategy), name) for name in FEATURE_METHODS}


def _code_digest(strategy: type, method: str) -> str:
    """Return a short digest of the code of a method and of the methods that it calls."""
    digest = hashlib.sha256()
    seen: set[str] = set()
    pending = [method]
    while pending:
        name = pending.pop()
        function = inspect.unwrap(getattr(strategy, name))
        if name in seen:
            continue
        seen.add(name)
        source = inspect.getsource(function)
        # A method's source is indented: the class makes it a whole program.
        whole = f"class _:\n{source}" if source[0].isspace() else source
        digest.update(code_without_docstrings(whole).encode())
        pending += sorted(
            called
            for called in function.__code__.co_names
            if called in vars(strategy) and inspect.isfunction(vars(strategy)[called])
        )
    return digest.hexdigest()[:12]


def code_without_docstrings(source: str) -> str:
    """Return a program in one way of writing it, without comments and docstrings.

    :param source: A whole program.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if ast.get_docstring(node, clean=False) is not None and first is not None:
                node.body.remove(first)
    return ast.unparse(tree)
