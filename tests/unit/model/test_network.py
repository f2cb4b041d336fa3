"""The network: what flows where, and that every setting of it counts."""

from typing import Any

import pytest
import torch
from torch import Tensor

from freqai_lstm.exceptions import WindowError
from freqai_lstm.model.network import PyTorchLSTMModel

WINDOW, FEATURES, LABELS = 4, 3, 2


def make_model(**changed: Any) -> PyTorchLSTMModel:
    """Build a small network; the same seed each time, and a skip that is not zero any more."""
    settings = {
        "window_size": WINDOW,
        "hidden_dim": 8,
        "num_lstm_layers": 2,
        "dropout_percent": 0.0,
        "alpha_dropout_percent": 0.0,
        "linear_skip": True,
    }
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = PyTorchLSTMModel(FEATURES, LABELS, **settings | changed)
        if model.skip is not None:
            torch.nn.init.normal_(model.skip.weight)
    return model.eval()


def make_windows(batch: int, window: int = WINDOW, features: int = FEATURES) -> Tensor:
    generator = torch.Generator().manual_seed(batch)
    return torch.randn(batch, window, features, generator=generator)


@pytest.fixture
def model() -> PyTorchLSTMModel:
    return make_model()


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("layers", [1, 3])
def test_shape_is_a_row_of_labels_for_each_window(batch: int, layers: int) -> None:
    predicted = make_model(num_lstm_layers=layers)(make_windows(batch))
    assert predicted.shape == (batch, LABELS)
    assert predicted.isfinite().all()


def test_defaults_are_those_of_the_documentation() -> None:
    model = PyTorchLSTMModel(FEATURES, LABELS)
    assert (model.window_size, len(model.layers)) == (5, 3)
    assert model.layers[0].lstm.hidden_size == 128
    assert model.layers[0].dropout.p == 0.4
    assert model.skip is not None


# Independence of windows


def test_windows_of_a_batch_do_not_influence_each_other(model: PyTorchLSTMModel) -> None:
    windows = make_windows(64)
    alone = torch.cat([model(window.unsqueeze(0)) for window in windows])
    torch.testing.assert_close(model(windows), alone, rtol=0, atol=1e-6)


def test_order_of_the_batch_is_the_order_of_the_predictions(model: PyTorchLSTMModel) -> None:
    windows, order = make_windows(16), torch.randperm(16)
    torch.testing.assert_close(model(windows[order]), model(windows)[order], rtol=0, atol=1e-6)


@pytest.mark.parametrize("candle", range(WINDOW))
def test_every_candle_of_a_window_counts_for_that_window_alone(
    model: PyTorchLSTMModel, candle: int
) -> None:
    windows = make_windows(6)
    changed = windows.clone()
    changed[2, candle] += 1
    difference = (model(changed) - model(windows)).abs().amax(dim=1)
    assert difference[2] > 1e-3
    assert difference[[0, 1, 3, 4, 5]].max() < 1e-6


def test_order_of_the_candles_counts(model: PyTorchLSTMModel) -> None:
    windows = make_windows(4)
    # The last candle stays: it reaches the labels on a way of its own.
    reordered = windows[:, [1, 0, 2, 3]]
    assert ((model(reordered) - model(windows)).abs().amax(dim=1) > 1e-5).all()


@pytest.mark.parametrize("feature", range(FEATURES))
def test_every_feature_counts(model: PyTorchLSTMModel, feature: int) -> None:
    windows = make_windows(4)
    changed = windows.clone()
    changed[:, :, feature] += 1
    assert ((model(changed) - model(windows)).abs().amax(dim=1) > 1e-3).all()


def test_training_does_mix_windows_by_their_batch_statistics(model: PyTorchLSTMModel) -> None:
    windows = make_windows(8)
    in_batch = model.train()(windows)[:2]
    assert not torch.allclose(in_batch, model(windows[:2]), atol=1e-3)


def test_evaluation_draws_nothing() -> None:
    model = make_model(dropout_percent=0.5, alpha_dropout_percent=0.5)
    windows = make_windows(8)
    assert torch.equal(model(windows), model(windows))


# Settings


@pytest.mark.parametrize(
    "changed",
    [{"num_lstm_layers": 1}, {"num_lstm_layers": 3}, {"hidden_dim": 9}, {"linear_skip": False}],
    ids=str,
)
def test_shape_of_the_network_changes_the_prediction(changed: dict[str, Any]) -> None:
    windows = make_windows(4)
    assert not torch.allclose(make_model(**changed)(windows), make_model()(windows), atol=1e-3)


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_number_of_layers_is_the_number_of_lstms(layers: int) -> None:
    lstms = [
        module
        for module in make_model(num_lstm_layers=layers).modules()
        if isinstance(module, torch.nn.LSTM)
    ]
    assert [lstm.input_size for lstm in lstms] == [FEATURES] + [8] * (layers - 1)
    assert all(lstm.hidden_size == 8 and lstm.num_layers == 1 for lstm in lstms)


@pytest.mark.parametrize("dropout", ["dropout_percent", "alpha_dropout_percent"])
def test_dropout_makes_training_random(dropout: str) -> None:
    windows = make_windows(8)
    plain, dropping = make_model().train(), make_model(**{dropout: 0.5}).train()
    assert torch.equal(plain(windows), plain(windows))
    assert not torch.allclose(dropping(windows), dropping(windows), atol=1e-3)


def test_share_of_dropped_features_is_the_dropout() -> None:
    layer = make_model(dropout_percent=0.3).train().layers[0]
    dropped = (layer(make_windows(256)) == 0).float().mean()
    assert dropped.item() == pytest.approx(0.3, abs=0.03)


def test_second_layer_is_added_to_the_first() -> None:
    deep, shallow = make_model(num_lstm_layers=2), make_model(num_lstm_layers=1)
    torch.nn.init.zeros_(deep.layers[1].norm.weight)
    shallow.layers[0].load_state_dict(deep.layers[0].state_dict())
    shallow.head.load_state_dict(deep.head.state_dict())
    shallow.skip.load_state_dict(deep.skip.state_dict())
    windows = make_windows(4)
    assert torch.equal(deep(windows), shallow(windows))


def test_skip_starts_at_zero() -> None:
    torch.manual_seed(3)
    skipping = PyTorchLSTMModel(FEATURES, LABELS, window_size=WINDOW, hidden_dim=8).eval()
    torch.manual_seed(3)
    without = PyTorchLSTMModel(
        FEATURES, LABELS, window_size=WINDOW, hidden_dim=8, linear_skip=False
    ).eval()
    windows = make_windows(4)
    assert torch.equal(skipping(windows), without(windows))


def test_skip_is_linear_in_the_last_candle_alone(model: PyTorchLSTMModel) -> None:
    windows = make_windows(4)
    with_skip = model(windows)
    skip, model.skip = model.skip, None
    expected = windows[:, -1] @ skip.weight.T
    torch.testing.assert_close(with_skip - model(windows), expected, rtol=0, atol=1e-5)


def test_gradient_reaches_every_parameter(model: PyTorchLSTMModel) -> None:
    model.train()(make_windows(16)).square().sum().backward()
    unreached = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().max() > 0
    ]
    assert unreached == []


# Errors


@pytest.mark.parametrize(
    ("window", "features"), [(WINDOW - 1, FEATURES), (WINDOW + 1, FEATURES), (WINDOW, FEATURES + 2)]
)
def test_other_windows_than_it_was_built_for_are_refused(
    model: PyTorchLSTMModel, window: int, features: int
) -> None:
    expected = (
        rf"^the network was built for windows of shape \(window, features\) = "
        rf"\({WINDOW}, {FEATURES}\), was \({window}, {features}\)$"
    )
    with pytest.raises(WindowError, match=expected):
        model(make_windows(2, window, features))
