"""The commands that get missing candles."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta

from freqai_lstm.doctor.coverage import Coverage

# What freqtrade download-data has to be told, by what is missing where.
_WAYS: dict[str, Callable[[Coverage], bool]] = {
    "--erase": lambda found: bool(found.between),
    "--prepend": lambda found: bool(found.before and found.first and not found.between),
    "": lambda found: bool((found.after or not found.first) and not found.between),
}


def download_commands(incomplete: Iterable[Coverage], options: Sequence[str]) -> Iterator[str]:
    """Give the commands that get what is missing.

    freqtrade download-data goes on where the stored candles end. What is missing before them needs
    ``--prepend``, and a hole in them ``--erase``.

    :param incomplete: What has missing candles.
    :param options: freqtrade's options that say which bot and which data directory.
    """
    incomplete = list(incomplete)
    for way, applies in _WAYS.items():
        found = [one.needed for one in incomplete if applies(one)]
        if not found:
            continue
        start = min(needed.start for needed in found)
        stop = max(needed.stop for needed in found) + timedelta(days=1, microseconds=-1)
        yield shlex.join(
            [
                "freqtrade",
                "download-data",
                *options,
                "--timerange",
                f"{start:%Y%m%d}-{stop:%Y%m%d}",
                "--timeframes",
                *dict.fromkeys(needed.timeframe for needed in found),
                "--pairs",
                *dict.fromkeys(needed.pair for needed in found),
                *([way] if way else []),
            ]
        )
