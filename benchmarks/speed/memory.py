"""Peak memory of training and prediction, each in a process of its own.

    python -m benchmarks.speed.memory CASE PART ROWS

prints the bytes by which the peak of the process lies above what it held before it trained or
predicted, with its data already in memory.
"""

import resource
import subprocess
import sys
from collections.abc import Iterator

import psutil
import torch

from benchmarks.speed.cases import LARGE, SEED_SIZE, make_data, make_trainer

Row = tuple[str, ...]
HEADERS = ("case", "part", "feature matrix [MiB]", "growth [MiB]", "network's own [MiB]", "ratio")
CASES = {case.name: case for case in (SEED_SIZE, LARGE)}
LARGE_STEPS = 3


def memory_rows() -> Iterator[Row]:
    """Measure the growth with all rows, and with hardly any: the network's own."""
    for case in CASES.values():
        rows = 20_000 if case is LARGE else case.train_rows
        matrix = rows * case.features * 4
        for part in ("training", "prediction"):
            whole = _measured(case.name, part, rows)
            own = _measured(case.name, part, case.window + case.batch)
            yield (
                case.name,
                part,
                *(f"{size / 2**20:.1f}" for size in (matrix, whole, own)),
                f"{(whole - own) / matrix:.2f}",
            )


def _measured(case: str, part: str, rows: int) -> int:
    command = [sys.executable, "-m", "benchmarks.speed.memory", case, part, str(rows)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _measure(case_name: str, part: str, rows: int) -> int:
    case = CASES[case_name]
    torch.set_num_threads(1)
    data = make_data(case, rows=rows)
    trainer = make_trainer(case, threads=1, device="cpu", n_steps=LARGE_STEPS)
    features = torch.tensor(data["train_features"].to_numpy())
    ends = torch.arange(case.window - 1, rows)
    before: int = psutil.Process().memory_info().rss
    if part == "training":
        trainer.fit(data, ["train"])
    else:
        trainer.predict(features, ends)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before


if __name__ == "__main__":
    name, part_name, row_count = sys.argv[1:]
    print(_measure(name, part_name, int(row_count)))
