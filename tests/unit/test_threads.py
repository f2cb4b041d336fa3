"""The number of CPU threads of the process."""

from collections.abc import Iterator

import pytest
import torch
from threadpoolctl import threadpool_info

from freqai_lstm.regressor import limit_threads


@pytest.fixture(autouse=True)
def _threads_of_the_other_tests() -> Iterator[None]:
    yield
    limit_threads(1)


@pytest.mark.parametrize("count", [1, 2])
def test_torch_and_blas_use_that_many_threads(count: int) -> None:
    limit_threads(count)
    assert torch.get_num_threads() == count
    blas = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert blas
    assert {pool["num_threads"] for pool in blas} == {count}
