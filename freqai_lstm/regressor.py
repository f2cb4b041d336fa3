"""The bridge to FreqAI: what its prediction model must do, done for windows of candles."""

import logging
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from datasieve.pipeline import Pipeline
from freqtrade.exchange import timeframe_to_seconds
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from pandas import DataFrame

from freqai_lstm.bridge import pipelines
from freqai_lstm.bridge.folders import check_coins, identifier_folder
from freqai_lstm.bridge.kitchen import (
    WindowedDataKitchen,
    candle_timestamps,
    has_candles,
    label_names,
    latest_statistics,
    rolling_statistics,
    without_predictions,
)
from freqai_lstm.bridge.live import LiveRegressor
from freqai_lstm.bridge.manifest import IdentifierGuard, labelled_by, trained_with
from freqai_lstm.bridge.versions import warn_if_untested
from freqai_lstm.exceptions import SettingsError, WindowError
from freqai_lstm.model.windows import whole_window_ends
from freqai_lstm.score import mean_and_spread, spread_columns
from freqai_lstm.settings import read_settings
from freqai_lstm.trainer import PyTorchLSTMTrainer, limit_threads

logger = logging.getLogger(__name__)

# Column with the end of the training that a row's model had, in seconds since 1970.
MODEL_TIMESTAMP = "model_timestamp"


class LSTMRegressor(LiveRegressor):
    """Trains one LSTM per pair and training window on all labels of the strategy, and predicts.

    The prediction of a candle is the same whether it is asked for in a backtest slice or alone,
    live. Rows without a whole window get ``do_predict`` 0 and no prediction.

    With ``ensemble_size`` above 1 it trains as many networks and predicts their mean. A column
    ``<label>_spread`` then says for each label, in its own units, how far a prediction is off: the
    standard deviation over the networks, times the factor that makes its mean square that of the
    error on the test split (1 without one).

    Settings are those of :class:`~freqai_lstm.settings.ModelTrainingParameters`, under
    ``freqai.model_training_parameters``; all of them are optional.

    :raises SettingsError: If the configuration has problems, or the identifier's models were
        trained with other settings; one line for each.
    """

    def __init__(self, **kwargs: Any) -> None:
        warn_if_untested()
        config = kwargs["config"]
        self.settings = read_settings(config["freqai"], timeframe_to_seconds(config["timeframe"]))
        self.identifier_guard = IdentifierGuard(identifier_folder(config))
        self.identifier_guard.check(
            trained_with(self.settings, config["timeframe"], type(self).__name__)
        )
        super().__init__(**kwargs)
        self._pairs = set(config["exchange"]["pair_whitelist"])
        check_coins(sorted(self._pairs))
        self.window_size = self.CONV_WIDTH = self.settings.window_size
        self._num_threads = self.settings.model_training_parameters.trainer_kwargs.num_threads
        limit_threads(self._num_threads)
        self._labels: list[str] = []

    def start(self, dataframe: DataFrame, metadata: dict[str, Any], strategy: Any) -> DataFrame:
        """Train and predict one pair for the strategy.

        :raises SettingsError: If the identifier's models were trained on other labels or features,
            a label has the name of another one's spread, or FreqAI would keep this pair's models
            in the folders of another pair.
        """
        check_coins([*sorted(self._pairs), metadata["pair"]])
        self._pairs.add(metadata["pair"])
        if not self._labels and not dataframe.empty:
            labels = label_names(strategy, dataframe, metadata)
            predicted = self._predicted(labels)
            if len(set(predicted)) < len(predicted):
                raise SettingsError(
                    f"ensemble_size above 1 adds a column <label>_spread for each label, so no "
                    f"label may have such a name, was {', '.join(labels)}"
                )
            self.identifier_guard.check(labelled_by(strategy, labels))
            self._labels = labels
        analysed: DataFrame = super().start(dataframe, metadata, strategy)
        # FreqAI knows the labels alone where there is no model to predict with.
        absent = [name for name in self._predicted(self._labels) if name not in analysed]
        return analysed.assign(**dict.fromkeys(absent, 0.0)) if absent else analysed

    def start_backtesting(
        self, dataframe: DataFrame, metadata: dict[str, Any], dk: FreqaiDataKitchen, strategy: Any
    ) -> FreqaiDataKitchen:
        """Walk forward over one pair, each slice with the candles before it as history.

        A pair without candles of a timeframe is skipped with an error in the log, so that the
        other pairs go on.

        :raises OperationalException: If a pair of ``include_corr_pairlist`` has no candles.
        """
        self.dk = WindowedDataKitchen(
            self.config, self.live, metadata["pair"], history_candles=self.window_size - 1
        )
        if not has_candles(strategy, metadata["pair"], self.config):
            labels = label_names(strategy, dataframe, metadata)
            self.dk.return_dataframe = without_predictions(dataframe, self._predicted(labels))
            return self.dk
        return super().start_backtesting(dataframe, metadata, self.dk, strategy)

    def train(
        self, unfiltered_df: DataFrame, pair: str, dk: FreqaiDataKitchen, **kwargs: Any
    ) -> Any:
        """Train on the candles of one training window.

        :param unfiltered_df: Features, labels and dates of the training window.
        :return: The trained :class:`~freqai_lstm.trainer.PyTorchLSTMTrainer`.
        :raises WindowError: If the candles hold too few whole windows.
        """
        started = perf_counter()
        # FreqAI gives it to every row that this model predicts, live and in a backtest.
        dk.data["extra_returns_per_train"] = {
            **dk.data["extra_returns_per_train"],
            MODEL_TIMESTAMP: int(dk.data_path.name.rsplit("_", 1)[1]),
        }
        features, labels = dk.filter_features(
            unfiltered_df, dk.training_features_list, dk.label_list, training_filter=True
        )
        if len(features) < 2 * self.window_size:
            raise WindowError(
                f"{pair}: training needs at least {2 * self.window_size} candles without NaN, "
                f"{len(unfiltered_df)} candles hold {len(features)}"
            )
        dd = dk.make_train_test_datasets(features, labels)
        if not self.freqai_info.get("fit_live_predictions_candles", 0) or not self.live:
            dk.fit_labels()
            # FreqAI wants them of every predicted column; spreads are not known before training.
            for statistic in ("labels_mean", "labels_std"):
                unknown = dict.fromkeys(self._predicted(dk.label_list), 0.0)
                dk.data[statistic] = unknown | dk.data[statistic]

        seed = pipelines.derived_seed(
            self.settings.model_training_parameters.trainer_kwargs.seed,
            pair,
            unfiltered_df["date"].iloc[-1],
        )
        dk.feature_pipeline = pipelines.adapt_feature_pipeline(
            self.define_data_pipeline(
                threads=self.settings.data_kitchen_thread_count or self._num_threads
            ),
            seed,
        )
        dk.label_pipeline = self.define_label_pipeline(threads=dk.thread_count)
        timestamps = candle_timestamps(unfiltered_df["date"])
        for split in self.splits:
            pipelines.apply_pipelines(dk, split, timestamps)

        logger.info(
            f"Training {pair} on {len(dd['train_features'].columns)} features, "
            f"{len(dk.label_list)} labels and {len(dd['train_features'])} candles"
        )
        model = self.fit(dd, dk, seed=seed)
        logger.info(f"Trained {pair} in {perf_counter() - started:.2f} s")
        return model

    def fit(self, data_dictionary: dict[str, Any], dk: FreqaiDataKitchen, **kwargs: Any) -> Any:
        """Train new networks on prepared data.

        :return: The trained :class:`~freqai_lstm.trainer.PyTorchLSTMTrainer`.
        """
        # Never kept on self: while this trains in a thread, another pair may be predicted.
        trainer = PyTorchLSTMTrainer(
            data_dictionary["train_features"].shape[1],
            data_dictionary["train_labels"].shape[1],
            self.settings.model_training_parameters,
            candle_seconds=self.base_tf_seconds,
            seed=kwargs.get("seed", 0),
            tb_logger=getattr(self, "tb_logger", None),
            description=dk.pair,
        )
        previous = self.get_init_model(dk.pair)
        if previous is not None:
            trainer.continue_from(previous)
        trainer.fit(data_dictionary, self.splits)
        return trainer

    def predict(
        self, unfiltered_df: DataFrame, dk: FreqaiDataKitchen, **kwargs: Any
    ) -> tuple[DataFrame, npt.NDArray[np.int_]]:
        """Predict the labels of every candle that ends a whole window.

        A window is whole when its candles are consecutive and none of them has a NaN feature or
        was marked by an outlier step. Live, nothing is predicted from candles that came late.

        :param unfiltered_df: Candles and features of a backtest slice, or the newest ones live.
        :param dk: FreqAI's data kitchen of the pair, with the pipelines of its model.
        :return: The labels of every row, and the spreads of an ensemble, NaN where there is no
            whole window, and ``do_predict`` (1 or 0) of every row.
        :raises WindowError: If the candles lack a feature that the model was trained on.
        """
        trainer: PyTorchLSTMTrainer = self.model
        history = dk.history if isinstance(dk, WindowedDataKitchen) else unfiltered_df.iloc[:0]
        frame = pd.concat([history, unfiltered_df], ignore_index=True)
        if missing := [name for name in dk.training_features_list if name not in frame]:
            raise WindowError(
                f"{dk.pair}: the model was trained on features that the strategy does not set: "
                f"{', '.join(missing)}"
            )
        filtered, _ = dk.filter_features(frame, dk.training_features_list, training_filter=False)
        complete = dk.do_predict
        features, inliers, _ = dk.feature_pipeline.transform(filtered, outlier_check=True)
        dk.data_dictionary["prediction_features"] = features

        ends = whole_window_ends(
            self.window_size,
            torch.tensor(candle_timestamps(frame["date"]).to_numpy()),
            self.base_tf_seconds,
            usable=torch.from_numpy((complete == 1) & (inliers == 1)),
        )
        ends = ends[ends >= len(history)]
        if isinstance(dk, WindowedDataKitchen) and dk.stale:
            ends = ends[:0]
        labels = dk.label_list
        predictions = DataFrame(np.nan, index=frame.index, columns=self._predicted(labels))
        if len(ends):
            x = self.data_convertor.convert_x(features, trainer.device)
            scaled = trainer.predict_members(x, ends).numpy().astype(float)
            unscaled, _, _ = dk.label_pipeline.inverse_transform(
                DataFrame(scaled.reshape(-1, len(labels)), columns=labels)
            )
            members = unscaled.to_numpy().reshape(scaled.shape)
            predictions.loc[ends.numpy()] = mean_and_spread(members, trainer.calibration)
        do_predict = np.zeros(len(frame), dtype=np.int_)
        do_predict[ends.numpy()] = 1

        outlier_index = dict(dk.feature_pipeline.steps).get("di")
        dk.DI_values = outlier_index.di_values if outlier_index else np.zeros(len(frame))
        dk.DI_values = dk.DI_values[len(history) :]
        dk.do_predict = do_predict[len(history) :]
        return predictions.iloc[len(history) :].reset_index(drop=True), dk.do_predict

    def define_label_pipeline(self, threads: int = -1) -> Pipeline:
        """Return the pipeline that standardises the labels."""
        return pipelines.standardising_label_pipeline()

    def fit_live_predictions(self, dk: FreqaiDataKitchen, pair: str) -> None:
        """Put the mean and standard deviation of the latest predictions into ``dk.data``."""
        dk.data["labels_mean"], dk.data["labels_std"] = latest_statistics(
            self.dd.historic_predictions[pair][self._predicted(dk.label_list)],
            self.settings.fit_live_predictions_candles,
        )

    def backtesting_fit_live_predictions(self, dk: FreqaiDataKitchen) -> None:
        """Give every backtest candle the statistics it would have had live, all at once."""
        candles = self.settings.fit_live_predictions_candles
        if not candles:
            return
        predicted = [name for name in self._predicted(dk.label_list) if name in dk.full_df.columns]
        for name, statistic in rolling_statistics(dk.full_df[predicted], candles).items():
            columns = [f"{column}_{name}" for column in predicted]
            dk.full_df.loc[statistic.index, columns] = statistic.to_numpy()

    def _predicted(self, labels: list[str]) -> list[str]:
        """Return the columns that are predicted: the labels, and the spreads of an ensemble."""
        return [*labels, *(spread_columns(labels) if self.settings.ensemble_size > 1 else ())]

    def after_failed_slice(self, dk: FreqaiDataKitchen) -> None:
        """Try a failed training again next time: FreqAI would keep its zeros as predictions."""
        dk.backtesting_results_path.unlink()
