"""The parameters of requests, checked as Binance checks them."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse

from freqai_lstm.replay.binance.dialect import Limit
from freqai_lstm.replay.feed import Span

Parameters = Mapping[str, str]

_LARGEST_NUMBER_LENGTH = 20


class BinanceError(Exception):
    """A request that Binance refuses.

    :param code: Binance's error code, below 0.
    :param fields: What the answer says besides.
    """

    def __init__(
        self,
        code: int,
        message: str,
        *,
        status: int = 400,
        fields: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.fields = code, message, status, fields

    def response(self) -> Response:
        return JSONResponse({"code": self.code, "msg": self.message, **self.fields}, self.status)


def missing(name: str) -> BinanceError:
    return BinanceError(
        -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


def required(parameters: Parameters, name: str) -> str:
    """Give a parameter that must be there."""
    text = parameters.get(name, "")
    if not text:
        raise missing(name)
    return text


def whole_number(parameters: Parameters, name: str, default: int | None = None) -> Any:
    """Read a number of at least 0."""
    text = parameters.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= _LARGEST_NUMBER_LENGTH):
        raise _illegal(name, f"'^[0-9]{{1,{_LARGEST_NUMBER_LENGTH}}}$'")
    # Later than any market, and small enough for the arrays of times.
    return min(int(text), 2**62)


def decimal(parameters: Parameters, name: str) -> Decimal:
    """Read a number with decimals that must be there."""
    text = required(parameters, name)
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise _illegal(name, "'^([0-9]{1,20})(\\.[0-9]{1,20})?$'") from error
    if not number.is_finite() or len(text) > 2 * _LARGEST_NUMBER_LENGTH:
        raise _illegal(name, "'^([0-9]{1,20})(\\.[0-9]{1,20})?$'")
    return number


def flag(parameters: Parameters, name: str) -> bool:
    """Read whether something is asked for; by default it is not."""
    return parameters.get(name, "false").lower() == "true"


def asked_for(parameters: Parameters, limit: Limit) -> int:
    """Read how many rows are asked for, allowed or not."""
    asked: int = whole_number(parameters, "limit", limit.usual)
    return min(asked, limit.allowed[-1]) if limit.cuts else asked


def span(parameters: Parameters, limit: Limit) -> Span:
    """Read which rows are asked for."""
    rows = asked_for(parameters, limit)
    if rows not in limit.allowed:
        raise BinanceError(-1130, "Data sent for parameter 'limit' is not valid.")
    start_ms, end_ms = (whole_number(parameters, name) for name in ("startTime", "endTime"))
    if start_ms is not None and end_ms is not None and start_ms > end_ms:
        raise BinanceError(-1023, "Start time is greater than end time.")
    return Span(rows, start_ms, end_ms)


def _illegal(name: str, legal: str) -> BinanceError:
    return BinanceError(
        -1100, f"Illegal characters found in parameter '{name}'; legal range is {legal}."
    )
