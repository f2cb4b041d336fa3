"""Stock FreqAI's Transformer regressor with this package's network in its place."""

from typing import Any

import torch
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from freqtrade.freqai.prediction_models.PyTorchTransformerRegressor import (
    PyTorchTransformerRegressor,
)
from freqtrade.freqai.torch.PyTorchModelTrainer import PyTorchTransformerTrainer

from benchmarks.speed.contenders import StockNetwork


class StockLoopRegressor(PyTorchTransformerRegressor):
    """All is stock FreqAI's but the network: pipelines, training loop, row-by-row prediction."""

    def fit(self, data_dictionary: dict[str, Any], dk: FreqaiDataKitchen, **kwargs: Any) -> Any:
        """Train as stock FreqAI's Transformer regressor does.

        :param data_dictionary: FreqAI's splits.
        :param dk: FreqAI's data kitchen of the pair.
        :return: The trained trainer.
        """
        network = StockNetwork(
            data_dictionary["train_features"].shape[-1],
            data_dictionary["train_labels"].shape[-1],
            **self.model_kwargs,
        ).to(self.device)
        trainer = PyTorchTransformerTrainer(
            model=network,
            optimizer=torch.optim.AdamW(network.parameters(), lr=self.learning_rate),
            criterion=torch.nn.MSELoss(),
            device=self.device,
            data_convertor=self.data_convertor,
            window_size=self.window_size,
            tb_logger=self.tb_logger,
            **self.trainer_kwargs,
        )
        trainer.fit(data_dictionary, self.splits)
        return trainer
