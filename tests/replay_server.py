"""The replay exchange in a thread, for tests and benchmarks."""

import threading
from types import TracebackType

from freqai_lstm.exceptions import ReplayError
from freqai_lstm.replay.account.state import AccountTerms
from freqai_lstm.replay.binance.signed import SignedApi
from freqai_lstm.replay.faults.plan import FaultPlan
from freqai_lstm.replay.feed import Clock, Feed
from freqai_lstm.replay.market import Market
from freqai_lstm.replay.server import ExchangeServer, listening_socket

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0


class ReplayServer:
    """The replay exchange on a free port in a background thread, as a context manager.

    :param clock: History by default, or a live one.
    :param faults: What goes wrong from the start; ``.faults`` has them, and takes more.
    :param terms: Those of the account that takes orders, ``.signed.account``; by default none.
    """

    def __init__(
        self,
        market: Market,
        *,
        clock: Clock | None = None,
        faults: FaultPlan | None = None,
        terms: AccountTerms | None = None,
    ) -> None:
        self.faults = faults or FaultPlan()
        self._ready = threading.Event()
        feed = Feed(market, clock or Clock())
        self.signed = None if terms is None else SignedApi(feed, terms)
        self._server = ExchangeServer(feed, self.faults, self._ready.set, self.signed)
        self._listener = listening_socket("127.0.0.1", 0)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True
        )
        self.port: int = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        """Where the server answers, without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "ReplayServer":
        """Start, and wait until connections are accepted.

        :raises ReplayError: If the server does not start.
        """
        self._thread.start()
        if not self._ready.wait(_START_SECONDS):
            raise ReplayError(f"The replay exchange did not start within {_START_SECONDS:.0f} s.")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop, and wait for the thread."""
        self._server.should_exit = True
        self._thread.join(_STOP_SECONDS)
        self._listener.close()
