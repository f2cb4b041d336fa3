"""Prediction: many candles and one live candle, against stock FreqAI's row-by-row loop."""

import statistics
from collections.abc import Iterator

import torch

from benchmarks.speed.cases import SEED_SIZE, make_data, make_trainer, seeded_network
from benchmarks.speed.contenders import StockNetwork, stock_rows
from benchmarks.speed.timing import in_turns, timed

Row = tuple[str, ...]
HEADERS = ("what", "this package", "stock FreqAI, row by row", "stock / ours")
CANDLES = 10_000


def prediction_rows(*, rounds: int, threads: int, device: str) -> Iterator[Row]:
    """Measure the prediction of 10,000 candles, and of one alone.

    :param rounds: Rounds for one candle, and twice as many as for all of them.
    :param threads: CPU threads of both contenders.
    :param device: ``cpu`` or ``cuda``.
    :return: Rows of the table.
    """
    torch.set_num_threads(threads)
    case = SEED_SIZE
    data = make_data(case, rows=CANDLES + case.window)
    features = torch.tensor(data["train_features"].to_numpy(), device=device)
    ours = make_trainer(case, threads=threads, device=device)
    stock = seeded_network(case, StockNetwork, device)
    stock.load_state_dict(ours.model.state_dict())
    stock.eval()
    ends = torch.arange(case.window - 1, len(features) - 1, device=device)

    def stock_all() -> torch.Tensor:
        for predicted in stock_rows(stock, features, case.window):
            last = predicted
        return last[0]

    with torch.no_grad():
        *_, first = stock_rows(stock, features[: 20 * case.window], case.window)
    if not torch.allclose(
        ours.predict(features, ends[: first.shape[1]]), first[0].cpu(), atol=1e-5
    ):
        raise SystemExit("The two predict different labels.")
    seconds: dict[str, list[float]] = {"ours": [], "stock": []}
    for _ in range(max(rounds // 6, 1)):
        seconds["ours"].append(min(timed(lambda: ours.predict(features, ends)) for _ in range(3)))
        seconds["stock"].append(timed(stock_all))
    yield _row(f"{CANDLES} candles", seconds)

    window, last = features[: case.window], torch.tensor([case.window - 1], device=device)
    yield _row(
        "one live candle",
        in_turns(
            {
                "ours": lambda: ours.predict(window, last),
                "stock": lambda: stock(window.unsqueeze(0)),
            },
            20 * rounds,
        ),
    )


def _row(what: str, seconds: dict[str, list[float]]) -> Row:
    ours, stock = (statistics.median(seconds[name]) for name in ("ours", "stock"))
    return what, f"{ours * 1e3:.2f} ms", f"{stock * 1e3:.2f} ms", f"{stock / ours:.1f}"
