"""One number of CPU threads for everything numeric in the process."""

import torch
from threadpoolctl import threadpool_limits


def limit_threads(count: int) -> None:
    """Let torch and the BLAS libraries of numpy and SciPy use that many CPU threads.

    Matrix products round differently with another number of threads, so by default the same
    training would give other last digits on a machine with more cores.

    :param count: Threads, at least 1.
    """
    torch.set_num_threads(count)
    threadpool_limits(count, user_api="blas")
