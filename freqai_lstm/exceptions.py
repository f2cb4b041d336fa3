"""The errors this package raises on purpose.

* :class:`FreqaiLstmError` - base of all of them.

  * :class:`SettingsError` - the configuration is wrong; also freqtrade's ``ConfigurationError``,
    so that freqtrade prints it without a traceback.
  * :class:`WindowError` - rows and windows do not fit together; also a ``ValueError``.
  * :class:`TrainingError` - a training diverged; also an ``ArithmeticError``.
  * :class:`ReplayError` - the replay exchange has no usable market; also freqtrade's
    ``OperationalException``.
  * :class:`SkillError` - a finished backtest cannot be judged; also freqtrade's
    ``OperationalException``.
  * :class:`ParityError` - a live bot's predictions cannot be checked; also freqtrade's
    ``OperationalException``.
  * :class:`InstallError` - there is no user directory to install into; also freqtrade's
    ``OperationalException``.
"""

from freqtrade.exceptions import ConfigurationError, OperationalException


class FreqaiLstmError(Exception):
    """Base class of every error of this package."""


class SettingsError(FreqaiLstmError, ConfigurationError):
    """The configuration does not describe a model that can be trained."""


class WindowError(FreqaiLstmError, ValueError):
    """There are no whole windows, or they do not fit the network."""


class TrainingError(FreqaiLstmError, ArithmeticError):
    """A training diverged."""


class ReplayError(FreqaiLstmError, OperationalException):
    """The replay exchange cannot serve the market it was asked for."""


class SkillError(FreqaiLstmError, OperationalException):
    """A backtest's predictions cannot be compared with the true score."""


class ParityError(FreqaiLstmError, OperationalException):
    """A live bot's predictions cannot be compared with a backtest's."""


class InstallError(FreqaiLstmError, OperationalException):
    """The drop-ins cannot be copied into the user directory."""
