"""The errors this package raises on purpose.

* :class:`FreqaiLstmError`

  * :class:`SettingsError` - also freqtrade's ``OperationalException`` and a ``ValueError``: whoever
    raises it, freqtrade prints it without a traceback and ends with a code that is not 0, which it
    does not do after its own ``ConfigurationError``
  * :class:`WindowError` - also a ``ValueError``
  * :class:`TrainingError` - also an ``ArithmeticError``
  * :class:`PredictionError`, :class:`ReplayError`, :class:`SkillError`, :class:`ParityError`,
    :class:`InstallError` - also freqtrade's ``OperationalException``
"""

from freqtrade.exceptions import OperationalException


class FreqaiLstmError(Exception):
    """Base class of every error of this package."""


class SettingsError(FreqaiLstmError, OperationalException, ValueError):
    """The configuration does not describe a model that can be trained."""


class WindowError(FreqaiLstmError, ValueError):
    """There are no whole windows, or they do not fit the network."""


class TrainingError(FreqaiLstmError, ArithmeticError):
    """A training diverged."""


class PredictionError(FreqaiLstmError, OperationalException):
    """A backtest has too few predictions to say anything."""


class ReplayError(FreqaiLstmError, OperationalException):
    """The replay exchange cannot serve the market it was asked for."""


class SkillError(FreqaiLstmError, OperationalException):
    """A backtest's predictions cannot be compared with the true score."""


class ParityError(FreqaiLstmError, OperationalException):
    """A live bot's predictions cannot be compared with a backtest's."""


class InstallError(FreqaiLstmError, OperationalException):
    """The drop-ins cannot be copied into the user directory."""
