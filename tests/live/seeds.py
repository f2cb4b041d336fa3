"""One seed for all that is left to chance: clock, market, fills, faults, kills, training order.

``FREQAI_LSTM_SEED=N make test-long`` chooses another one; a test that fails says which it was.
"""

import os
import random

SEED = int(os.environ.get("FREQAI_LSTM_SEED", "0"))


def chance(name: str) -> random.Random:
    """Give a source of chance that depends on the seed and on what it is for, and nothing else."""
    return random.Random(f"{SEED} {name}")
