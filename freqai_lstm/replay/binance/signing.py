"""Who asks: the key and the signature of a request."""

import hmac
import re
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import parse_qsl

from freqai_lstm.replay.binance.parameters import BinanceError, required, whole_number

_KEY = re.compile(r"[A-Za-z0-9]{64}")
_SIGNATURE = re.compile(r"(?:^|&)signature=([^&]*)")
# How old a request may be, in milliseconds, and how far ahead its clock.
_USUAL_WINDOW, _LARGEST_WINDOW, _AHEAD = 5_000, 60_000, 1_000


@dataclass(frozen=True)
class Credentials:
    """A key and its secret."""

    key: str
    secret: str

    @classmethod
    def made_up(cls, seed: int) -> "Credentials":
        """Make up a key that looks like Binance's, from a seed always the same."""
        key, secret = (
            sha256(f"replay exchange {name} {seed}".encode()).hexdigest()
            for name in ("key", "secret")
        )
        return cls(key, secret)

    def check(self, key: str, query: str, body: str, now_ms: int) -> dict[str, str]:
        """Check a request.

        :param key: The key that it was sent with.
        :param query: Its parameters in the address, as they were sent.
        :param body: Its parameters in the body, as they were sent.
        :return: The parameters.
        :raises BinanceError: If another one sent it, or too long ago.
        """
        if not _KEY.fullmatch(key):
            raise BinanceError(-2014, "API-key format invalid.", status=401)
        if not hmac.compare_digest(key, self.key):
            message = "Invalid API-key, IP, or permissions for action."
            raise BinanceError(-2015, message, status=401)
        parameters = dict(parse_qsl(query, True) + parse_qsl(body, True))
        signature = required(parameters, "signature")
        signed = "".join(_SIGNATURE.sub("", part) for part in (query, body))
        expected = hmac.new(self.secret.encode(), signed.encode(), sha256).hexdigest()
        if not hmac.compare_digest(signature.encode(), expected.encode()):
            raise BinanceError(-1022, "Signature for this request is not valid.")
        _check_time(parameters, now_ms)
        return parameters


def _check_time(parameters: dict[str, str], now_ms: int) -> None:
    required(parameters, "timestamp")
    sent_ms = whole_number(parameters, "timestamp")
    window_ms = whole_number(parameters, "recvWindow", _USUAL_WINDOW)
    if window_ms > _LARGEST_WINDOW:
        raise BinanceError(-1131, "recvWindow must be less than 60000")
    if sent_ms >= now_ms + _AHEAD:
        message = "Timestamp for this request was 1000ms ahead of the server's time."
        raise BinanceError(-1021, message)
    if now_ms - sent_ms > window_ms:
        raise BinanceError(-1021, "Timestamp for this request is outside of the recvWindow.")
