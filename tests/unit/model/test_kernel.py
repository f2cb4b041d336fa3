"""The layers by hand: the same numbers as torch's modules, and memory that is never shared."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from unit_rows import make_split

from freqai_lstm.model.kernel import TrainingMemory, train_layers
from freqai_lstm.model.network import PyTorchLSTMModel
from freqai_lstm.model.training import TrainingStep, predict_windows, seeded

BATCH, INPUTS, HIDDEN = 6, 5, 4


class Stack(nn.Module):
    """Stacked layers made of torch's modules, and the same layers by hand."""

    def __init__(self, layers: int, dropout: float = 0.0) -> None:
        super().__init__()
        with seeded(layers):
            self.lstms = nn.ModuleList(
                nn.LSTM(HIDDEN if depth else INPUTS, HIDDEN, batch_first=True)
                for depth in range(layers)
            )
            self.norms = nn.ModuleList(nn.BatchNorm1d(HIDDEN) for _ in range(layers))
            for norm in self.norms:
                nn.init.normal_(norm.weight)
                nn.init.normal_(norm.bias)
        self.dropout, self.memory = dropout, TrainingMemory()

    def by_hand(self, x: Tensor) -> Tensor:
        return train_layers(x, self.lstms, self.norms, self.dropout, self.memory)

    def by_modules(self, x: Tensor) -> Tensor:
        hidden = x
        for depth, (lstm, norm) in enumerate(zip(self.lstms, self.norms, strict=True)):
            sequence, _ = lstm(hidden)
            output = norm(sequence.flatten(0, 1)).view_as(sequence)
            hidden = output + hidden if depth else output
        return hidden[:, -1]


def make_x(steps: int, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(steps)
    return torch.randn(BATCH, steps, INPUTS, generator=generator).to(dtype).requires_grad_()


def trained(stack: Stack, output: Tensor, x: Tensor) -> dict[str, Tensor]:
    """Give the output, all gradients and the running statistics."""
    weights = torch.linspace(-1, 2, output.numel()).view_as(output).to(output)
    stack.zero_grad()
    x.grad = None
    (output * weights).sum().backward()
    seen = {name: value.grad for name, value in stack.named_parameters()}
    return seen | dict(stack.named_buffers()) | {"output": output, "x": x.grad}


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)], ids=str
)
@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_numbers_are_those_of_the_modules(
    layers: int, steps: int, dtype: torch.dtype, tolerance: float
) -> None:
    ours, theirs = (Stack(layers).to(dtype) for _ in range(2))
    x, same = make_x(steps, dtype), make_x(steps, dtype)
    expected = trained(theirs, theirs.by_modules(same), same)
    found = trained(ours, ours.by_hand(x), x)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=tolerance, atol=tolerance, msg=name)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_gradients_are_the_derivatives(dropout: float) -> None:
    stack = Stack(2, dropout).double()

    def run(x: Tensor, *parameters: Tensor) -> Tensor:
        with seeded(1):
            return stack.by_hand(x)

    inputs = (make_x(3, torch.float64), *stack.parameters())
    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)


def test_share_of_dropped_values_is_the_dropout_and_the_mean_is_kept() -> None:
    stack = Stack(1, dropout=0.3)
    nn.init.ones_(stack.norms[0].bias)
    nn.init.zeros_(stack.norms[0].weight)
    with seeded(0):
        outputs = torch.cat([stack.by_hand(make_x(2)).flatten() for _ in range(100)])
    assert (outputs == 0).float().mean().item() == pytest.approx(0.3, abs=0.04)
    assert outputs.mean().item() == pytest.approx(1, abs=0.06)
    assert outputs.unique().numel() == 2


def test_dropout_follows_the_seed() -> None:
    stack, x = Stack(2, dropout=0.5), make_x(3)
    outputs = []
    for seed in (1, 1, 2):
        with seeded(seed):
            outputs.append(stack.by_hand(x))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


# Memory


def test_graphs_that_live_at_once_do_not_disturb_each_other() -> None:
    stack, first, second = Stack(2), make_x(3), make_x(3)
    expected = trained(stack, stack.by_hand(first), first)["x"].clone()
    output = stack.by_hand(first)
    second.data *= 3
    trained(stack, stack.by_hand(second), second)
    assert torch.equal(trained(stack, output, first)["x"], expected)


def test_gradient_can_be_taken_again_from_a_graph_that_is_kept() -> None:
    stack, x = Stack(2), make_x(3)
    total = stack.by_hand(x).square().sum()
    first = torch.autograd.grad(total, x, retain_graph=True)
    assert torch.equal(first[0], torch.autograd.grad(total, x)[0])


def test_memory_is_used_again_once_its_graph_is_gone() -> None:
    memory = TrainingMemory()
    shape = (1, 2, 3, 4, torch.float32)
    first = memory.take(*shape)
    held = first.memory
    assert memory.take(*shape).memory is not held
    del first
    assert held in (memory.take(*shape).memory, memory.take(*shape).memory)
    memory.clear()
    assert memory.take(*shape).memory is not held


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_copied_memory_is_empty(duplicate: Any) -> None:
    memory = TrainingMemory()
    shape = (1, 2, 3, 4, torch.float32)
    held = memory.take(*shape).memory
    assert duplicate(memory).take(*shape).memory is not held


def test_evaluating_lets_go_of_the_memory() -> None:
    model = PyTorchLSTMModel(INPUTS, 2, window_size=3, hidden_dim=HIDDEN)
    model.train()(make_x(3)).sum().backward()
    assert model._memory._free
    model.eval()
    assert not model._memory._free


# The network


def test_training_is_the_same_with_and_without_grad_scaling() -> None:
    """The fused optimizer clips on its way; another one has its gradient clipped before."""
    weights = []
    for fused in (True, False):
        with seeded(0):
            model = PyTorchLSTMModel(4, 2, window_size=3, hidden_dim=HIDDEN, dropout_percent=0.0)
        optimizer = torch.optim.AdamW(model.train().parameters(), lr=0.1, fused=fused)
        step = TrainingStep(model, optimizer, make_split(8), max_grad_norm=0.01)
        for _ in range(3):
            step(step.split.ends)
        assert step.take_sums()[1] > 3 * 0.01
        assert step.take_sums() == [0, 0]
        weights.append(model.state_dict())
    torch.testing.assert_close(*weights, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("order", ["ascending", "shuffled", "repeated", "few"])
def test_prediction_of_rows_is_that_of_their_windows(order: str) -> None:
    split = make_split(80)
    ends = split.ends.repeat(2) if order == "repeated" else split.ends
    ends = ends[:3] if order == "few" else ends
    ends = ends[torch.randperm(len(ends))] if order == "shuffled" else ends
    with seeded(0):
        model = PyTorchLSTMModel(4, 2, window_size=3, hidden_dim=HIDDEN).train()
        model(torch.randn(50, 3, 4))
        nn.init.normal_(model.skip.weight)
    model.eval()
    windows = torch.stack([split.features[end - 2 : end + 1] for end in ends])
    with torch.no_grad():
        predicted, expected = predict_windows(model, split.features, ends), model(windows)
    torch.testing.assert_close(predicted, expected, rtol=0, atol=1e-6)
