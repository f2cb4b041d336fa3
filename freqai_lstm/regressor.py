"""The bridge to FreqAI: what its prediction model must do, done for windows of candles."""

import logging
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from datasieve.pipeline import Pipeline
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from pandas import DataFrame
from threadpoolctl import threadpool_limits

from freqai_lstm.bridge import pipelines
from freqai_lstm.bridge.account import complete_rows, incomplete_text
from freqai_lstm.bridge.folders import trained_at
from freqai_lstm.bridge.kitchen import (
    WindowedDataKitchen,
    candle_timestamps,
    latest_statistics,
    rolling_statistics,
)
from freqai_lstm.bridge.splits import split_rows
from freqai_lstm.bridge.windowed import WindowedRegressor
from freqai_lstm.exceptions import SettingsError, WindowError
from freqai_lstm.model.windows import whole_window_ends
from freqai_lstm.score import mean_and_spread, spread_columns
from freqai_lstm.trainer import PyTorchLSTMTrainer

logger = logging.getLogger(__name__)

# Column with the end of the training that a row's model had, in seconds since 1970.
MODEL_TIMESTAMP = "model_timestamp"


class LSTMRegressor(WindowedRegressor):
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
        super().__init__(**kwargs)
        self.num_threads = self.settings.model_training_parameters.trainer_kwargs.num_threads
        limit_threads(self.num_threads)

    def predicted_columns(self, labels: list[str]) -> list[str]:
        """Return the columns that are predicted: the labels, and the spreads of an ensemble.

        :raises SettingsError: If a label has the name of another one's spread, or ``huber_delta``
            names a label that there is not.
        """
        deltas = self.settings.model_training_parameters.trainer_kwargs.huber_delta
        if unknown := sorted(deltas.keys() - {*labels}):
            raise SettingsError(
                f"freqai.model_training_parameters.trainer_kwargs.huber_delta: must be of the "
                f"labels {', '.join(labels)}, was {', '.join(unknown)}"
            )
        columns = [*labels, *(spread_columns(labels) if self.settings.ensemble_size > 1 else ())]
        if len(set(columns)) < len(columns):
            raise SettingsError(
                f"ensemble_size above 1 adds a column <label>_spread for each label, so no "
                f"label may have such a name, was {', '.join(labels)}"
            )
        return columns

    def numbers(self, labels: list[str]) -> list[str]:
        """Return those of the predicted columns that are numbers: all of them."""
        return self.predicted_columns(labels)

    def train_pair(self, unfiltered_df: DataFrame, pair: str, dk: FreqaiDataKitchen) -> Any:
        """Train on the candles of one training window.

        :param unfiltered_df: Features, labels and dates of the training window.
        :return: The trained :class:`~freqai_lstm.trainer.PyTorchLSTMTrainer`.
        :raises WindowError: If the candles hold too few whole windows.
        """
        started = perf_counter()
        # FreqAI gives it to every row that this model predicts, live and in a backtest.
        dk.data["extra_returns_per_train"] = {
            **dk.data["extra_returns_per_train"],
            MODEL_TIMESTAMP: trained_at(dk.data_path),
        }
        columns = [*dk.training_features_list, *dk.label_list]
        complete = complete_rows(unfiltered_df, columns)
        if complete < 2 * self.window_size:
            raise WindowError(
                f"{pair}: training needs at least {2 * self.window_size} candles without NaN, "
                f"{len(unfiltered_df)} candles hold {complete}: "
                f"{incomplete_text(unfiltered_df, columns)}"
            )
        features, labels = dk.filter_features(
            unfiltered_df, dk.training_features_list, dk.label_list, training_filter=True
        )
        timestamps = candle_timestamps(unfiltered_df["date"])
        horizon = self.settings.feature_parameters.label_period_candles
        dd = split_rows(dk, features, labels, timestamps, horizon * self.base_tf_seconds)
        if dd["train_features"].empty:
            raise WindowError(
                f"{pair}: training needs more than label_period_candles ({horizon}) candles "
                f"besides the test split, {complete} candles without NaN leave none"
            )
        if not self.freqai_info.get("fit_live_predictions_candles", 0) or not self.live:
            dk.fit_labels()
            # FreqAI wants them of every predicted column; spreads are not known before training.
            for statistic in ("labels_mean", "labels_std"):
                unknown = dict.fromkeys(self.predicted_columns(dk.label_list), 0.0)
                dk.data[statistic] = unknown | dk.data[statistic]

        seed = pipelines.derived_seed(
            self.settings.model_training_parameters.trainer_kwargs.seed,
            pair,
            unfiltered_df["date"].iloc[-1],
        )
        dk.feature_pipeline = pipelines.adapt_feature_pipeline(
            self.define_data_pipeline(
                threads=self.settings.data_kitchen_thread_count or self.num_threads
            ),
            seed,
        )
        dk.label_pipeline = self.define_label_pipeline(threads=dk.thread_count)
        self.encode_labels(dd)
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
        """Train networks on prepared data: new ones, or with ``continual_learning`` the last ones.

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
            class_names=self.class_names,
        )
        previous = self.previous_model(dk)
        if previous is not None:
            trainer.continue_from(previous, data_dictionary["train_timestamps"])
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
        predictions = DataFrame(
            index=[], columns=self.predicted_columns(dk.label_list), dtype=float
        )
        if len(ends):
            x = self.data_convertor.convert_x(features, trainer.device)
            outputs = trainer.predict_members(x, ends).numpy().astype(float)
            predictions = self.decode(outputs, dk, trainer).set_axis(ends.numpy())
        predictions = predictions.reindex(frame.index)
        do_predict = np.zeros(len(frame), dtype=np.int_)
        do_predict[ends.numpy()] = 1
        if not dk.live:
            self.account.note_unpredicted(
                frame,
                dk.training_features_list,
                {
                    "unlike the training data": (complete == 1) & (inliers == 0),
                    "window reaches over a gap": (complete == 1)
                    & (inliers == 1)
                    & (do_predict == 0),
                },
            )

        outlier_index = dict(dk.feature_pipeline.steps).get("di")
        dk.DI_values = outlier_index.di_values if outlier_index else np.zeros(len(frame))
        dk.DI_values = dk.DI_values[len(history) :]
        dk.do_predict = do_predict[len(history) :]
        return predictions.iloc[len(history) :].reset_index(drop=True), dk.do_predict

    def encode_labels(self, data_dictionary: dict[str, Any]) -> None:
        """Turn the labels of the splits into numbers; these are numbers already."""

    def decode(
        self, outputs: npt.NDArray[np.float64], dk: FreqaiDataKitchen, trainer: PyTorchLSTMTrainer
    ) -> DataFrame:
        """Turn what the networks say into predictions.

        :param outputs: Scaled labels, shape ``(networks, windows, labels)``.
        :return: The columns of :meth:`predicted_columns`, a row for each window.
        """
        labels = dk.label_list
        unscaled, _, _ = dk.label_pipeline.inverse_transform(
            DataFrame(outputs.reshape(-1, len(labels)), columns=labels)
        )
        members = unscaled.to_numpy().reshape(outputs.shape)
        predictions = mean_and_spread(members, trainer.calibration)
        return DataFrame(predictions, columns=self.predicted_columns(labels))

    def define_label_pipeline(self, threads: int = -1) -> Pipeline:
        """Return the pipeline that standardises the labels."""
        return pipelines.standardising_label_pipeline()

    def fit_live_predictions(self, dk: FreqaiDataKitchen, pair: str) -> None:
        """Put the mean and standard deviation of the latest predictions into ``dk.data``."""
        dk.data["labels_mean"], dk.data["labels_std"] = latest_statistics(
            self.dd.historic_predictions[pair][self.numbers(dk.label_list)],
            self.settings.fit_live_predictions_candles,
        )

    def backtesting_fit_live_predictions(self, dk: FreqaiDataKitchen) -> None:
        """Give every backtest candle the statistics it would have had live, all at once."""
        candles = self.settings.fit_live_predictions_candles
        if not candles:
            return
        predicted = [name for name in self.numbers(dk.label_list) if name in dk.full_df.columns]
        for name, statistic in rolling_statistics(dk.full_df[predicted], candles).items():
            columns = [f"{column}_{name}" for column in predicted]
            # Those of classes are whole numbers before.
            dk.full_df[columns] = dk.full_df[columns].astype(float)
            dk.full_df.loc[statistic.index, columns] = statistic.to_numpy()


def limit_threads(count: int) -> None:
    """Let torch and the BLAS libraries of numpy and SciPy use that many CPU threads.

    Matrix products round differently with another number of threads, so by default the same
    training would give other last digits on a machine with more cores.

    :param count: Threads, at least 1.
    """
    torch.set_num_threads(count)
    threadpool_limits(count, user_api="blas")
