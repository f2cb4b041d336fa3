"""What holds for every unit test."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from hypothesis import settings
from unit_predictions import Store, prediction_store

# How long an example takes says nothing about whether it is right.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")


@pytest.fixture
def store(config: dict[str, Any], candles: Callable[..., pd.DataFrame]) -> Store:
    """Store predictions as FreqAI does: the true components, changed by a function."""
    return prediction_store(config, candles)
