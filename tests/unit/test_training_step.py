"""The captured step: when it captures, replays, and does without; the device is played here."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from unit_rows import equal_weights, make_model, make_split, weights_of

from freqai_lstm.training_step import CapturedStep, Split, TrainingStep

RATE = 0.01


class PlayedGraph:
    """Stands in for a CUDA graph: what is captured is undone at once, and done at each replay."""

    replays = 0
    run: Callable[[], None]

    def replay(self) -> None:
        PlayedGraph.replays += 1
        self.run()


class PlayedStream:
    def wait_stream(self, other: Any) -> None:
        pass


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> type[PlayedGraph]:
    @contextmanager
    def capture(graph: PlayedGraph) -> Iterator[None]:
        caller = current[0]
        before = copied(caller)
        yield
        restore(caller, before)
        graph.run = lambda: TrainingStep.__call__(caller, caller._ends)

    current: list[CapturedStep] = []
    noted = CapturedStep._capture

    def note(step: CapturedStep, ends: Tensor) -> Any:
        current[:] = [step]
        return noted(step, ends)

    PlayedGraph.replays = 0
    monkeypatch.setattr(CapturedStep, "_capture", note)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", PlayedGraph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    monkeypatch.setattr(torch.cuda, "Stream", PlayedStream)
    monkeypatch.setattr(torch.cuda, "current_stream", PlayedStream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    return PlayedGraph


def copied(step: TrainingStep) -> tuple[Any, ...]:
    optimizer = [
        {name: value.clone() for name, value in state.items()}
        for state in step.optimizer.state.values()
    ]
    return weights_of(step.model), optimizer, step.sums.clone()


def restore(step: TrainingStep, before: tuple[Any, ...]) -> None:
    weights, optimizer, sums = before
    step.model.load_state_dict(weights)
    for state, saved in zip(step.optimizer.state.values(), optimizer, strict=True):
        for name, value in saved.items():
            state[name].copy_(value)
    step.sums.copy_(sums)


def make_step(kind: type[TrainingStep], split: Split) -> TrainingStep:
    model = make_model().train()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
    return kind(model, optimizer, split, 1.0)


def test_captured_steps_are_the_same_steps(cuda: type[PlayedGraph]) -> None:
    split = make_split(16)
    captured, plain = (make_step(kind, split) for kind in (CapturedStep, TrainingStep))
    batches = [split.ends[:8], split.ends[8:]] * 4
    for step in (captured, plain):
        for ends in batches:
            step(ends)
    assert cuda.replays == len(batches) - 3
    assert equal_weights(weights_of(captured.model), weights_of(plain.model))
    assert captured.take_sums() == plain.take_sums()


def test_batch_of_another_size_is_not_replayed(cuda: type[PlayedGraph]) -> None:
    split = make_split(16)
    captured, plain = (make_step(kind, split) for kind in (CapturedStep, TrainingStep))
    for step in (captured, plain):
        for size in (8, 8, 8, 8, 5, 8):
            step(split.ends[:size])
    assert cuda.replays == 2
    assert equal_weights(weights_of(captured.model), weights_of(plain.model))


def test_graph_reads_the_learning_rate_of_the_schedule(
    cuda: type[PlayedGraph], monkeypatch: pytest.MonkeyPatch
) -> None:
    split = make_split(8)
    step = make_step(CapturedStep, split)
    for rate in (RATE, RATE, RATE, RATE, RATE / 2):
        step.optimizer.param_groups[0]["lr"] = rate
        step(split.ends)
        assert step.optimizer.param_groups[0]["lr"] == rate
    [on_device] = step._rates
    assert on_device.item() == pytest.approx(RATE / 2)


def test_training_goes_on_without_a_graph_that_cannot_be_captured(
    cuda: type[PlayedGraph], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    @contextmanager
    def fail(graph: PlayedGraph) -> Iterator[None]:
        raise RuntimeError("operation not permitted when stream is capturing")
        yield

    monkeypatch.setattr(torch.cuda, "graph", fail)
    split = make_split(8)
    captured, plain = (make_step(kind, split) for kind in (CapturedStep, TrainingStep))
    with caplog.at_level(logging.WARNING):
        for step in (captured, plain):
            for _ in range(6):
                step(split.ends)
    assert cuda.replays == 0
    assert equal_weights(weights_of(captured.model), weights_of(plain.model))
    [record] = caplog.records
    assert record.message == (
        "Training without a CUDA graph, since its capture failed: operation not permitted when "
        "stream is capturing"
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_captured_steps_are_the_same_steps_on_a_gpu() -> None:
    split = make_split(16)
    split = Split(*(value.cuda() for value in vars(split).values()))
    weights = []
    for kind in (CapturedStep, TrainingStep):
        model = make_model().cuda().train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, fused=True)
        step = kind(model, optimizer, split, 0.5)
        for _ in range(6):
            step(split.ends)
        weights.append(weights_of(model))
    torch.testing.assert_close(*weights, rtol=1e-3, atol=1e-4)
