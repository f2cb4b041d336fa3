"""What holds for every unit test."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from hypothesis import settings
from torch import Tensor
from unit_predictions import Store, prediction_store
from unit_rows import WINDOW, make_features

from freqai_lstm.bridge.folders import IdentifierFolder

# How long an example takes says nothing about whether it is right.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")


@pytest.fixture
def stored(tmp_path: Path) -> IdentifierFolder:
    """An empty identifier's folder."""
    path = tmp_path / "models" / "lstm"
    path.mkdir(parents=True)
    return IdentifierFolder(path)


@pytest.fixture
def store(config: dict[str, Any], candles: Callable[..., pd.DataFrame]) -> Store:
    """Store predictions as FreqAI does: the true components, changed by a function."""
    return prediction_store(config, candles)


@pytest.fixture
def rows() -> tuple[Tensor, Tensor]:
    """Features to predict from, and the ends of all windows of them."""
    return make_features(40, seed=9), torch.arange(WINDOW - 1, 40)
