"""Arrays that are in a file."""

from pathlib import Path
from typing import Any

import numpy as np


def mapped_file(values: Any) -> Path | None:
    """Return the file that an array is mapped from; None if it is in memory."""
    while values is not None and not isinstance(values, np.memmap):
        values = getattr(values, "base", None)
    return None if values is None else Path(values.filename)
