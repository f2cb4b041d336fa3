"""Runs the replay exchange."""

import ipaddress
import json
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import uvicorn

from freqai_lstm.exceptions import ReplayError
from freqai_lstm.files import replacing
from freqai_lstm.replay.account.state import AccountTerms
from freqai_lstm.replay.binance.overlay import replay_overlay
from freqai_lstm.replay.binance.rest import create_app
from freqai_lstm.replay.binance.signed import SignedApi
from freqai_lstm.replay.faults.http import DroppableConnection
from freqai_lstm.replay.faults.plan import FaultPlan
from freqai_lstm.replay.feed import Clock, Feed
from freqai_lstm.replay.market import Market

DEFAULT_PORT = 8000


class ExchangeServer(uvicorn.Server):
    """A uvicorn server that tells when it accepts connections."""

    def __init__(
        self,
        feed: Feed,
        plan: FaultPlan,
        on_ready: Callable[[], None],
        signed: SignedApi | None = None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(feed, plan, signed),
                http=DroppableConnection,
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_level="error",
                access_log=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()


def serve(
    market: Market,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    clock: Clock | None = None,
    faults: FaultPlan | None = None,
    terms: AccountTerms | None = None,
    ready_file: Path | None = None,
    overlay_file: Path | None = None,
    allow_remote: bool = False,
) -> None:
    """Serve a market until SIGINT or SIGTERM.

    :param host: Address to listen on.
    :param port: Port to listen on; 0 picks a free one.
    :param clock: History by default, or a live one.
    :param faults: What goes wrong from the start; nothing by default.
    :param terms: Those of the account that takes orders; without, none are taken.
    :param ready_file: File to write the port into once connections are accepted.
    :param overlay_file: File to write freqtrade's configuration for this exchange into then.
    :param allow_remote: Whether ``host`` may be reached from other machines.
    :raises ReplayError: If the server cannot listen there, has no place for the file, or cannot
        take orders of this market.
    """
    for file in (ready_file, overlay_file):
        if file is not None and not file.absolute().parent.is_dir():
            raise ReplayError(f"{file} must be in a directory that exists.")
    feed = Feed(market, clock or Clock())
    signed = None if terms is None else _signed_api(feed, terms, allow_remote)
    with listening_socket(host, port, allow_remote=allow_remote) as listener:
        bound_port = listener.getsockname()[1]

        def announce() -> None:
            live = ", live" if feed.clock.is_live else ""
            url = f"http://{_in_url(host)}:{bound_port}"
            print(
                f"Replay exchange on {url} ({feed.description}{live}). Stop with Ctrl+C.",
                flush=True,
            )
            if signed is not None:
                print(
                    "It takes signed orders from this machine. This is a simulation:"
                    f" {signed.account.terms.deposit:f} {' and '.join(feed.quotes)} of made-up"
                    " money.",
                    flush=True,
                )
            if ready_file is not None:
                with replacing(ready_file) as file:
                    file.write_text(f"{bound_port}\n")
            if overlay_file is not None:
                with replacing(overlay_file) as file:
                    credentials = None if signed is None else signed.credentials
                    overlay = replay_overlay(url, market, credentials)
                    file.write_text(json.dumps(overlay, indent=4))

        server = ExchangeServer(feed, faults or FaultPlan(), announce, signed)
        with _stopped_by_signals(server):
            server.run(sockets=[listener])


def _signed_api(feed: Feed, terms: AccountTerms, allow_remote: bool) -> SignedApi:
    """Open an account.

    :raises ReplayError: If the market is not one of live futures, or is for other machines too.
    """
    if feed.trading_mode != "futures" or not feed.clock.is_live or allow_remote:
        mode = f"{'live' if feed.clock.is_live else 'past'} {feed.trading_mode}"
        asked = f"{mode}, for other machines too" if allow_remote else mode
        raise ReplayError(f"Orders need live futures, for this machine only; was {asked}.")
    return SignedApi(feed, terms)


@contextmanager
def _stopped_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the server, and nothing more.

    uvicorn sends the signal it caught again after it stopped: these handlers take it, so that the
    process ends as usual.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def listening_socket(host: str, port: int, *, allow_remote: bool = False) -> socket.socket:
    """Listen on an address.

    :raises ReplayError: If other machines could reach it unasked, or it is taken.
    """
    if not (allow_remote or _is_loopback(host)):
        raise ReplayError(
            f"The host must be a loopback address such as 127.0.0.1; was {host!r}."
            " Allow remote access to serve other machines."
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends at once, instead of waiting for more, only where the protocol is given.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise ReplayError(f"Cannot listen on {host} port {port}: {error}.") from error
    return listener


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
