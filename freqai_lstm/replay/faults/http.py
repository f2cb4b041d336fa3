"""Faults over HTTP: the layer that makes requests fail, and the routes that change them."""

import asyncio
import json
from datetime import UTC, datetime
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from freqai_lstm.exceptions import ReplayError
from freqai_lstm.replay.faults.plan import LOST_ANSWER, REQUEST_KINDS, Fault, FaultPlan
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
        fault = None
        if scope["type"] == "http" and not scope["path"].startswith("/replay/"):
            symbol = parse_qs(scope["query_string"].decode("latin-1")).get("symbol", [""])[0]
            fault = self._plan.draw(REQUEST_KINDS, scope["path"], symbol, scope["method"])
        kind = None if fault is None else fault.kind
        if kind == "http_5xx":
            await _send(send, 503, json.dumps(_UNAVAILABLE).encode())
        elif kind == "http_429":
            await _send(send, 429, json.dumps(_TOO_MANY).encode())
        elif fault is not None and kind in ("dropped", LOST_ANSWER):
            if kind == LOST_ANSWER:
                await self._answer(scope, receive)
                await asyncio.sleep(fault.size_seconds)
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


def add_control_routes(app: FastAPI, feed: Feed, plan: FaultPlan) -> None:
    """Add the routes that tell the state of the exchange, and begin and end faults."""

    async def status() -> Response:
        return JSONResponse(
            {
                "market": feed.description,
                "live": feed.clock.is_live,
                "pairs": [listing.pair for listing in feed.listings()],
                "starts": _iso(feed.start_ms),
                "now": _iso(feed.now_ms()),
                "ends": _iso(feed.end_ms),
                "faults": plan.describe(),
            }
        )

    async def add_faults(request: Request) -> Response:
        """Activate the fault of the request's JSON object, or all of its array."""
        try:
            faults = _read_faults(await request.body())
        except (ReplayError, ValueError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        for fault in faults:
            plan.add(fault)
        return JSONResponse({"faults": plan.describe()})

    async def clear_faults() -> Response:
        plan.clear()
        return JSONResponse({"faults": []})

    app.add_api_route("/replay/status", status, methods=["GET"])
    app.add_api_route("/replay/faults", add_faults, methods=["POST"])
    app.add_api_route("/replay/faults", clear_faults, methods=["DELETE"])


def _read_faults(body: bytes) -> list[Fault]:
    document = json.loads(body)
    entries = document if isinstance(document, list) else [document]
    if not all(isinstance(entry, dict) for entry in entries):
        raise ReplayError("Fault: must be a JSON object, or an array of objects.")
    return [Fault.from_mapping(entry) for entry in entries]


def _iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat()
