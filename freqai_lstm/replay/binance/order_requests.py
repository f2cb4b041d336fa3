"""The orders that requests ask for."""

from collections.abc import Sequence

from freqai_lstm.replay.account.orders import OrderRequest, Side, StopRequest
from freqai_lstm.replay.binance.parameters import (
    BinanceError,
    Parameters,
    decimal,
    flag,
    required,
    whole_number,
)

_STOPS = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET")
_TIMES_IN_FORCE = ("GTC", "IOC", "FOK", "GTX")


def order_request(parameters: Parameters) -> OrderRequest:
    """Read an order."""
    if required(parameters, "type") in _STOPS:
        raise BinanceError(
            -4120,
            "Order type not supported for this endpoint. Please use the Algo Order API endpoints"
            " instead.",
        )
    kind = one_of(parameters, "type", ("LIMIT", "MARKET"), -1116)
    return _order_request(parameters, kind == "LIMIT", "newClientOrderId")


def stop_request(parameters: Parameters) -> StopRequest:
    """Read a stop order, in Binance's words a conditional algo order."""
    one_of(parameters, "algoType", ("CONDITIONAL",), -1116)
    kind = one_of(parameters, "type", _STOPS, -1116)
    return StopRequest(
        _order_request(parameters, not kind.endswith("_MARKET"), "clientAlgoId"),
        decimal(parameters, "triggerPrice"),
        takes_profit=kind.startswith("TAKE_PROFIT"),
        by_mark_price=parameters.get("workingType") == "MARK_PRICE",
    )


def _order_request(parameters: Parameters, is_limited: bool, client_id: str) -> OrderRequest:
    if parameters.get("positionSide", "BOTH") != "BOTH":
        raise BinanceError(-4061, "Order's position side does not match user's setting.")
    side: Side = "BUY" if one_of(parameters, "side", ("BUY", "SELL"), -1117) == "BUY" else "SELL"
    force = {"timeInForce": "GTC", **parameters}
    return OrderRequest(
        symbol=required(parameters, "symbol"),
        side=side,
        kind="LIMIT" if is_limited else "MARKET",
        quantity=decimal(parameters, "quantity"),
        price=decimal(parameters, "price") if is_limited else None,
        time_in_force=one_of(force, "timeInForce", _TIMES_IN_FORCE, -1115),
        reduce_only=flag(parameters, "reduceOnly"),
        client_id=parameters.get(client_id, ""),
    )


def one_of(parameters: Parameters, name: str, allowed: Sequence[str], code: int) -> str:
    """Read a word that must be one of some."""
    text = required(parameters, name)
    if text not in allowed:
        raise BinanceError(code, f"Invalid {name}.")
    return text


def identity(parameters: Parameters, number: str, name: str) -> tuple[int | None, str | None]:
    """Read which order is meant, by its number or by the client's name of it."""
    if not (parameters.get(number) or parameters.get(name)):
        raise BinanceError(
            -1102, f"Param '{name}' or '{number}' must be sent, but both were empty/null!"
        )
    return whole_number(parameters, number), parameters.get(name)
