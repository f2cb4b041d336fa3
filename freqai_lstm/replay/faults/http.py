"""Faults over HTTP: the layer that makes requests fail, and the routes that change them."""

import asyncio
import json
from datetime import UTC, datetime
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from freqai_lstm.exceptions import ReplayError
from freqai_lstm.replay.faults.plan import REQUEST_KINDS, Fault, FaultPlan
from freqai_lstm.replay.feed import Feed

_UNAVAILABLE = {"code": -1000, "msg": "An unknown error occurred while processing the request."}
_TOO_MANY = {"code": -1003, "msg": "Too many requests; current limit is 2400 requests per minute."}


class DroppableConnection(H11Protocol):
    """An HTTP connection whose requests can cut it: they find it in the scope's state."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember the connection for the requests that come through it."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class FaultInjector:
    """An ASGI application around another one, that lets requests to the exchange fail."""

    def __init__(self, app: ASGIApp, plan: FaultPlan) -> None:
        self._app = app
        self._plan = plan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or fail to."""
        fault = None
        if scope["type"] == "http" and scope["path"].startswith("/fapi/"):
            symbol = parse_qs(scope["query_string"].decode("latin-1")).get("symbol", [""])[0]
            fault = self._plan.draw(REQUEST_KINDS, scope["path"], symbol)
        kind = None if fault is None else fault.kind
        if kind == "http_5xx":
            await _send(send, 503, json.dumps(_UNAVAILABLE).encode())
        elif kind == "http_429":
            await _send(send, 429, json.dumps(_TOO_MANY).encode())
        elif kind == "dropped":
            scope["state"]["transport"].abort()
            while (await receive())["type"] != "http.disconnect":
                pass
        elif kind in ("truncated_json", "malformed_json"):
            status, body = await self._answer(scope, receive)
            broken = body[: len(body) // 2] if kind == "truncated_json" else body[:-1] + b",,"
            await _send(send, status, broken)
        else:
            if fault is not None:
                await asyncio.sleep(fault.size_seconds)
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        """Collect the answer instead of sending it."""
        messages: list[Message] = []

        async def collect(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, collect)
        body = b"".join(message.get("body", b"") for message in messages)
        return int(messages[0]["status"]), body


async def _send(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class ControlApi:
    """Status and faults."""

    def __init__(self, feed: Feed, plan: FaultPlan) -> None:
        self._feed = feed
        self._plan = plan

    def add_routes(self, app: FastAPI) -> None:
        """Add the routes to an application."""
        app.add_api_route("/replay/status", self.status, methods=["GET"])
        app.add_api_route("/replay/faults", self.add_faults, methods=["POST"])
        app.add_api_route("/replay/faults", self.clear_faults, methods=["DELETE"])

    async def status(self) -> Response:
        """Describe the market, its time, and the active faults."""
        feed = self._feed
        return _answer(
            {
                "market": feed.description,
                "live": feed.clock.is_live,
                "pairs": [listing.pair for listing in feed.listings()],
                "starts": _iso(feed.start_ms),
                "now": _iso(feed.now_ms()),
                "ends": _iso(feed.end_ms),
                "faults": self._plan.describe(),
            }
        )

    async def add_faults(self, request: Request) -> Response:
        """Activate the fault of the request's JSON object, or all of its array."""
        try:
            faults = _read_faults(await request.body())
        except (ReplayError, ValueError) as error:
            return _answer({"error": str(error)}, status=400)
        for fault in faults:
            self._plan.add(fault)
        return _answer({"faults": self._plan.describe()})

    async def clear_faults(self) -> Response:
        """End all faults."""
        self._plan.clear()
        return _answer({"faults": []})


def _read_faults(body: bytes) -> list[Fault]:
    document = json.loads(body)
    entries = document if isinstance(document, list) else [document]
    if not all(isinstance(entry, dict) for entry in entries):
        raise ReplayError("Fault: must be a JSON object, or an array of objects.")
    return [Fault.from_mapping(entry) for entry in entries]


def _answer(document: object, *, status: int = 200) -> Response:
    return Response(json.dumps(document), status_code=status, media_type="application/json")


def _iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat()
