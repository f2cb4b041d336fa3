"""The versions of other packages that this one was tested with, and a warning outside them.

Nothing is refused: a newer freqtrade may well work. Nobody has seen it work, though.
"""

import logging
from importlib.metadata import version

from packaging.specifiers import SpecifierSet

from freqai_lstm import __version__

logger = logging.getLogger(__name__)

TESTED = {"freqtrade": SpecifierSet(">=2026.9,<2026.10"), "pandas": SpecifierSet(">=3.0,<3.1")}

_CONSEQUENCES = {
    "freqtrade": "watch it in dry-run first",
    "pandas": "with pandas 3.1 or before 3.0, live retraining fails from the first new candle on",
}


def untested() -> dict[str, str]:
    """Return what is installed in a version that was not tested: its name, and a sentence."""
    return {
        name: (
            f"{name} {found} was not tested with freqai-lstm {__version__} "
            f"(tested: {tested}): {_CONSEQUENCES[name]}"
        )
        for name, tested in TESTED.items()
        if not tested.contains(found := version(name), prereleases=True)
    }


def warn_if_untested() -> None:
    """Log a warning for everything that is installed in a version that was not tested."""
    for sentence in untested().values():
        logger.warning(sentence)
