"""What is measured against: plain PyTorch, and stock FreqAI's own training and prediction loops."""

from collections.abc import Iterator
from typing import Any

import torch
from freqtrade.freqai.torch.PyTorchDataConvertor import DefaultPyTorchDataConvertor
from freqtrade.freqai.torch.PyTorchModelTrainer import PyTorchTransformerTrainer
from torch import Tensor, nn

from benchmarks.speed.cases import LEARNING_RATE, Case, make_logger, seeded_network
from freqai_lstm.model.network import PyTorchLSTMModel


class PlainNetwork(PyTorchLSTMModel):
    """The same network, run by torch's modules alone on every device."""

    def forward(self, x: Tensor) -> Tensor:
        """Predict the labels of the last candle of each window."""
        first, *deeper = self.layers
        hidden = first(x)
        for layer in deeper:
            hidden = hidden + layer(hidden)
        labels: Tensor = self.head(hidden[:, -1])
        return labels if self.skip is None else labels + self.skip(x[:, -1])


class StockNetwork(PlainNetwork):
    """The same network with the axis of time that stock FreqAI's loops expect in its output."""

    def forward(self, x: Tensor) -> Tensor:
        """Predict labels of shape ``(batch, 1, labels)``."""
        return super().forward(x).unsqueeze(1)


class PlainLoop:
    """A plain eager loop over windows that were gathered before; gathering is not timed.

    :param case: Sizes.
    :param data: The data dictionary.
    :param batches: Training batches to gather.
    :param fused: Whether AdamW is the fused one; torch's default is not.
    """

    def __init__(
        self, case: Case, data: dict[str, Any], batches: int, *, fused: bool, device: str
    ) -> None:
        self.case, self.device = case, device
        self.network = seeded_network(case, PlainNetwork, device)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=LEARNING_RATE, fused=True if fused else None
        )
        self.windows, self.labels = self._gather(data, "train", batches)
        self.test = self._gather(data, "test", case.test_batches) if case.test_batches else None

    def epoch(self) -> None:
        """Train on every gathered batch once, in random order, and take the test loss."""
        self.network.train()
        loss_function = nn.MSELoss()
        order = torch.randperm(len(self.windows), device=self.device)
        for chosen in torch.split(order, self.case.batch):
            self.optimizer.zero_grad()
            loss = loss_function(self.network(self.windows[chosen]), self.labels[chosen])
            loss.backward()
            self.optimizer.step()
        if self.test is not None:
            self.network.eval()
            with torch.no_grad():
                windows, labels = self.test
                loss_function(self.network(windows), labels).item()

    def _gather(self, data: dict[str, Any], split: str, batches: int) -> tuple[Tensor, Tensor]:
        features = torch.tensor(data[f"{split}_features"].to_numpy(), device=self.device)
        labels = torch.tensor(data[f"{split}_labels"].to_numpy(), device=self.device)
        size, count = self.case.window, batches * self.case.batch
        windows = features.unfold(0, size, 1)[:count].transpose(1, 2).contiguous()
        return windows, labels[size - 1 :][:count].contiguous()


def stock_trainer(case: Case, *, epochs: int, device: str) -> PyTorchTransformerTrainer:
    """Make stock FreqAI's trainer of windows, set up as its Transformer regressor does."""
    network = seeded_network(case, StockNetwork, device)
    return PyTorchTransformerTrainer(
        model=network,
        optimizer=torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE),
        criterion=nn.MSELoss(),
        device=device,
        data_convertor=DefaultPyTorchDataConvertor(target_tensor_type=torch.float),
        window_size=case.window,
        tb_logger=make_logger(),
        n_epochs=epochs,
        batch_size=case.batch,
    )


def stock_rows(network: nn.Module, features: Tensor, window: int) -> Iterator[Tensor]:
    """Predict row by row, as stock FreqAI's Transformer regressor does; give all so far each time.

    The lines of its ``predict`` with nothing left out, so that the cost of a growing result is
    counted too.
    """
    x = features.unsqueeze(0)
    yb = torch.empty(0).to(features.device)
    for i in range(x.shape[1] - window):
        xb = x[:, i : i + window, :].to(features.device)
        y = network(xb)
        yb = torch.cat((yb, y), dim=1)
        yield yb
