"""Every private or internal name of freqtrade that this package relies on, and no other place.

freqtrade promises none of them: the contract test checks that each is still there.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ccxt import BaseError, OperationFailed
from freqtrade.data.history import get_datahandler
from freqtrade.enums import CandleType
from freqtrade.exceptions import ExchangeError, TemporaryError
from freqtrade.freqai.base_models.BasePyTorchRegressor import BasePyTorchRegressor
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from freqtrade.persistence import Order
from freqtrade.strategy.hyper import detect_all_parameters
from freqtrade.strategy.parameters import BaseParameter
from pandas import DataFrame


class OpenRegressor(BasePyTorchRegressor):
    """FreqAI's regressor, with names of ours for what is private there."""

    @abstractmethod
    def keep_scanning(self, scan: Callable[[], None]) -> None:
        """Run FreqAI's training loop, which ends when the bot stops."""

    @abstractmethod
    def after_failed_slice(self, dk: FreqaiDataKitchen) -> None:
        """Go on after FreqAI has saved zeros for the slice of a failed training."""

    @property
    def is_stopping(self) -> bool:
        """Whether the bot has asked the training loop to end."""
        return bool(self._stop_event.is_set())

    def wait_for_stop(self, seconds: float) -> None:
        """Wait until the bot asks the training loop to end, or some time has passed."""
        self._stop_event.wait(seconds)

    def forget_correlated_features(self) -> None:
        """Let the features of correlated pairs be computed again: they are kept between pairs."""
        self.get_corr_dataframes = True

    def _start_scanning(self, strategy: Any) -> None:
        scan = super()._start_scanning
        self.keep_scanning(lambda: scan(strategy))

    def _append_null_backtesting_predictions(
        self, dk: FreqaiDataKitchen, dataframe_backtest: DataFrame
    ) -> None:
        super()._append_null_backtesting_predictions(dk, dataframe_backtest)
        self.after_failed_slice(dk)


def start_strategy(strategy: Any) -> None:
    """Start a strategy as freqtrade's commands do: with its regressor and its parameters."""
    strategy.ft_bot_start()


def load_parameters(strategy: Any) -> None:
    """Give a strategy the parameters of its file, as freqtrade's commands do."""
    strategy.ft_load_hyper_params()


def informative_methods(strategy: Any) -> list[str]:
    """Return the names of a strategy's methods that freqtrade's ``@informative`` decorates."""
    return [method.__name__ for _, method in strategy._ft_informative]


def fetch_candles(strategy: Any, candles: Iterable[tuple[str, str, Any]]) -> None:
    """Ask the exchange for candles now, whenever it was asked last.

    :param candles: Pairs, timeframes and types of candles.
    """
    exchange = exchange_of(strategy)
    keys = list(candles)
    for key in keys:
        exchange._pairs_last_poll_time.pop(key, None)
    exchange.refresh_latest_ohlcv(keys)


def exchange_of(strategy: Any) -> Any:
    """Return the exchange of a running bot."""
    return strategy.dp._exchange


def fetch_leverage(strategy: Any, pair: str, *, is_short: bool) -> float:
    """Ask the exchange for the leverage that is set for a pair.

    :raises TemporaryError: If it does not answer.
    :raises ExchangeError: If it cannot be asked for that.
    """
    told = _ask(exchange_of(strategy)._api.fetch_leverage, pair)
    return float(told["shortLeverage" if is_short else "longLeverage"])


def fetch_open_stops(strategy: Any, pair: str) -> list[dict[str, Any]]:
    """Ask the exchange for the stop orders of a pair that wait for their price.

    freqtrade's own ``fetch_orders`` forgets that it was asked for stop orders.

    :raises TemporaryError: If it does not answer.
    :raises ExchangeError: If it cannot be asked for that.
    """
    exchange = exchange_of(strategy)
    flagged = exchange.get_option("stoploss_query_requires_stop_flag")
    parameters = {"stop": True} if flagged else {}
    found = _ask(exchange._api.fetch_open_orders, pair, params=parameters)
    return [exchange._order_contracts_to_amount(stop) for stop in found if stop["triggerPrice"]]


def newest_order() -> int:
    """Return the number of the newest order in the database of trades, 0 without any."""
    newest = Order.session.query(Order).order_by(Order.id.desc()).first()
    return newest.id if newest else 0


def knows_later_order(pair: str, side: str, number: int) -> bool:
    """Tell whether the database has an order of a pair and side that is newer than a number."""
    later = Order.session.query(Order).filter(
        Order.id > number, Order.ft_pair == pair, Order.ft_order_side == side
    )
    return later.first() is not None


def as_open_order(
    order: dict[str, Any], pair: str, side: str, price: float, tag: str | None
) -> Any:
    """Make an order of the database, one that is open as far as freqtrade knows.

    :param order: As ccxt describes it.
    :param side: ``buy``, ``sell`` or ``stoploss``.
    """
    made = Order.parse_from_ccxt_object(order, pair, side, order["amount"], price)
    made.ft_is_open, made.status, made.ft_order_tag = True, "open", tag
    return made


def _ask(method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Ask ccxt, with freqtrade's errors in place of its own."""
    try:
        return method(*arguments, **named)
    except OperationFailed as error:
        raise TemporaryError(f"The exchange does not answer: {error}") from error
    except BaseError as error:
        raise ExchangeError(f"The exchange cannot be asked: {error}") from error


def own_parameters(strategy: Any) -> dict[str, BaseParameter]:
    """Return the parameters of a strategy by name, each knowing its space."""
    spaces = detect_all_parameters(strategy)
    return {name: parameter for space in spaces.values() for name, parameter in space.items()}


def candle_path(
    config: Mapping[str, Any], pair: str, timeframe: str, candle_type: CandleType
) -> Path:
    """Return the file that freqtrade keeps these candles in, whether it is there or not."""
    handler = get_datahandler(config["datadir"], config["dataformat_ohlcv"])
    return handler._pair_data_filename(config["datadir"], pair, timeframe, candle_type)


def raw_candles(
    config: Mapping[str, Any], pair: str, timeframe: str, candle_type: CandleType
) -> DataFrame:
    """Return the candles of a file as they are: not sorted, merged, filled or cut.

    :return: An empty frame if there is no file, or, with an error in the log, none that freqtrade
        can read.
    """
    handler = get_datahandler(config["datadir"], config["dataformat_ohlcv"])
    return handler._ohlcv_load(pair, timeframe, None, candle_type)
