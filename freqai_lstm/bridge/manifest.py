"""Guards FreqAI's ``identifier``: the folder's models must have been trained with these settings.

FreqAI reuses saved models and predictions by file name alone, so a changed setting under an old
identifier silently gives old predictions. A manifest in the identifier's folder says what its
models were trained with.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from freqai_lstm.bridge.digest import featured_by
from freqai_lstm.bridge.drawer import set_aside
from freqai_lstm.bridge.folders import saved_models, saved_predictions
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.files import replacing
from freqai_lstm.model import MODEL_VERSION
from freqai_lstm.settings import DataSplitParameters, FeatureParameters, FreqaiSettings

MANIFEST_NAME = "freqai_lstm.json"

_DECISIVE = (
    *("train_period_days", "continual_learning", "model_training_parameters"),
    *("feature_parameters", "data_split_parameters"),
)
"""The keys of the ``freqai`` section that a saved model depends on."""

_WITHOUT_EFFECT = ("device", "num_threads", "progress_bar", "plot_feature_importances")
"""Keys within them that do not change what is learned."""


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
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(self.manifest_path) as temporary:
                content = json.dumps(recorded | present, indent=2)
                temporary.write_text(f"{content}\n", encoding="utf-8")

    def refuse_changed(self, present: dict[str, Any]) -> None:
        """Refuse a changed setting, and leave everything as it is.

        :param present: Settings by dotted key.
        :raises SettingsError: If saved models were trained with other settings; it names each
            difference.
        """
        recorded = _defaults() | self._recorded()
        differences = [
            f"\n  {key}: trained with {recorded[key]!r}, was {value!r}"
            for key, value in present.items()
            if recorded.get(key, value) != value
        ]
        if differences and self._has_models():
            raise SettingsError(
                f"freqai.identifier: {self.folder.name!r} has models that were trained with other "
                f"settings. Choose another identifier, or set these back:{''.join(differences)}"
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
            recorded, cause = json.loads(content), None
        except ValueError as error:
            recorded, cause = None, error
        if not isinstance(recorded, dict):
            raise SettingsError(
                f"{self.manifest_path}: must be a JSON object, was "
                f"{cause or f'a {type(recorded).__name__}'}. Choose another freqai.identifier, or "
                f"delete the folder to train again."
            ) from cause
        return recorded

    def _has_models(self) -> bool:
        return bool(saved_models(self.folder) or saved_predictions(self.folder))


def trained_with(settings: FreqaiSettings, timeframe: str, model_name: str) -> dict[str, Any]:
    """Return every setting that a saved model depends on.

    :param settings: The ``freqai`` section.
    :return: Settings by dotted key, as JSON holds them.
    """
    own = {"model": model_name, "model_version": MODEL_VERSION, "timeframe": timeframe}
    return own | _by_key(settings, "freqai", _DECISIVE)


def labelled_by(strategy: Any, labels: Iterable[str]) -> dict[str, Any]:
    """Return what a saved model takes from the strategy: its labels, and the code of its features.

    :return: Settings by dotted key, as JSON holds them.
    """
    return {"labels": sorted(labels), **featured_by(strategy)}


def _defaults() -> dict[str, Any]:
    """Return the settings that a manifest from before they existed does not have."""
    unset = FreqaiSettings.model_construct(
        feature_parameters=FeatureParameters.model_construct(),
        data_split_parameters=DataSplitParameters.model_construct(),
    )
    return _by_key(unset, "freqai", _DECISIVE)


def _by_key(section: BaseModel, path: str, keys: Iterable[str]) -> dict[str, Any]:
    """Return the values of a section, and of those within it, by dotted key, if set."""
    found: dict[str, Any] = {}
    for name, value in vars(section).items():
        if name not in keys or name in _WITHOUT_EFFECT:
            continue
        key = f"{path}.{name}"
        inner = isinstance(value, BaseModel)
        found |= _by_key(value, key, type(value).model_fields) if inner else {key: value}
    return found
