"""Deprecated: the names of this module are in ``freqai_lstm.score``; it goes next release."""

import warnings

from freqai_lstm.score import *  # noqa: F403

warnings.warn("freqai_lstm.returns is freqai_lstm.score now", FutureWarning, stacklevel=2)
