"""Ridge regression of the newest candle: what a network has to beat before it is called skilled."""

from typing import Any

from datasieve.pipeline import Pipeline
from freqtrade.freqai.base_models.BaseRegressionModel import BaseRegressionModel
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from sklearn.linear_model import Ridge

from freqai_lstm.bridge import pipelines
from freqai_lstm.bridge.configuration import read_ridge_settings

# Nothing else of the model is drawn at random, so it is the same whatever the seed.
_NOISE_SEED = 0


class LinearRegressor(BaseRegressionModel):
    """Predicts all labels linearly from the features of one candle.

    Features and labels go through FreqAI's pipelines with the scalers of the LSTM: standardised,
    so that the penalty weighs each feature alike. Older candles count less with ``weight_factor``.

    Settings are those of :class:`~freqai_lstm.settings.RidgeSettings`, under
    ``freqai.model_training_parameters``.

    :raises SettingsError: If they have problems; one line for each.
    """

    def __init__(self, **kwargs: Any) -> None:
        parameters = kwargs["config"]["freqai"].get("model_training_parameters", {})
        self.settings = read_ridge_settings(parameters)
        super().__init__(**kwargs)

    def fit(self, data_dictionary: dict[str, Any], dk: FreqaiDataKitchen, **kwargs: Any) -> Ridge:
        """Fit the labels of the training split, with its weights.

        :param data_dictionary: Scaled ``train_features`` of shape ``(rows, features)``,
            ``train_labels`` of shape ``(rows, labels)`` and ``train_weights`` of shape ``(rows,)``.
        """
        features, labels = data_dictionary["train_features"], data_dictionary["train_labels"]
        model = Ridge(alpha=self.settings.alpha_per_row * len(features))
        return model.fit(features, labels, sample_weight=data_dictionary["train_weights"])

    def define_data_pipeline(self, threads: int = -1) -> Pipeline:
        """Return FreqAI's steps, with a scaler that standardises the features."""
        pipeline = super().define_data_pipeline(threads=threads)
        return pipelines.adapt_feature_pipeline(pipeline, _NOISE_SEED)

    def define_label_pipeline(self, threads: int = -1) -> Pipeline:
        """Return the pipeline that standardises the labels."""
        return pipelines.standardising_label_pipeline()
