"""Runs the replay exchange, in the foreground or in a thread."""

import ipaddress
import json
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType

import uvicorn

from freqai_lstm.exceptions import ReplayError
from freqai_lstm.files import replacing
from freqai_lstm.replay.binance.overlay import replay_overlay
from freqai_lstm.replay.binance.rest import create_app
from freqai_lstm.replay.faults.http import DroppableConnection
from freqai_lstm.replay.faults.plan import FaultPlan
from freqai_lstm.replay.feed import Clock, Feed
from freqai_lstm.replay.market import Market

DEFAULT_PORT = 8000
_START_SECONDS = 30.0
_STOP_SECONDS = 10.0


class _Uvicorn(uvicorn.Server):
    """A uvicorn server that tells when it accepts connections."""

    def __init__(self, feed: Feed, plan: FaultPlan, on_ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(feed, plan),
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
        """Start listening."""
        await super().startup(sockets)
        self._on_ready()


def serve(
    market: Market,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    clock: Clock | None = None,
    faults: FaultPlan | None = None,
    ready_file: Path | None = None,
    overlay_file: Path | None = None,
    allow_remote: bool = False,
) -> None:
    """Serve a market until SIGINT or SIGTERM.

    :param host: Address to listen on.
    :param port: Port to listen on; 0 picks a free one.
    :param clock: History by default, or a live one.
    :param faults: What goes wrong from the start; nothing by default.
    :param ready_file: File to write the port into once connections are accepted.
    :param overlay_file: File to write freqtrade's configuration for this exchange into then.
    :param allow_remote: Whether ``host`` may be reached from other machines.
    :raises ReplayError: If the server cannot listen there, or has no place for the file.
    """
    for file in (ready_file, overlay_file):
        if file is not None and not file.absolute().parent.is_dir():
            raise ReplayError(f"{file} must be in a directory that exists.")
    feed = Feed(market, clock or Clock.history())
    with _listening_socket(host, port, allow_remote=allow_remote) as listener:
        bound_port = listener.getsockname()[1]

        def announce() -> None:
            live = ", live" if feed.clock.is_live else ""
            url = f"http://{_in_url(host)}:{bound_port}"
            print(
                f"Replay exchange on {url} ({feed.description}{live}). Stop with Ctrl+C.",
                flush=True,
            )
            if ready_file is not None:
                with replacing(ready_file) as file:
                    file.write_text(f"{bound_port}\n")
            if overlay_file is not None:
                with replacing(overlay_file) as file:
                    file.write_text(json.dumps(replay_overlay(url, market), indent=4))

        server = _Uvicorn(feed, faults or FaultPlan(), announce)
        with _stopped_by_signals(server):
            server.run(sockets=[listener])


class ReplayServer:
    """The replay exchange on a free port in a background thread, as a context manager.

    :param clock: History by default, or a live one.
    :param faults: What goes wrong from the start; ``.faults`` has them, and takes more.
    """

    def __init__(
        self, market: Market, *, clock: Clock | None = None, faults: FaultPlan | None = None
    ) -> None:
        self.faults = faults or FaultPlan()
        self._ready = threading.Event()
        feed = Feed(market, clock or Clock.history())
        self._server = _Uvicorn(feed, self.faults, self._ready.set)
        self._listener = _listening_socket("127.0.0.1", 0)
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


@contextmanager
def _stopped_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the server, and nothing more.

    uvicorn sends the signal it caught again after it stopped: these handlers take it, so that the
    process ends as usual.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listening_socket(host: str, port: int, *, allow_remote: bool = False) -> socket.socket:
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
