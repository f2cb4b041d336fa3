"""Makes requests fail: the layer between the socket and the routes."""

import asyncio
import json
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from .fault_plan import FaultPlan
from .faults import REQUEST_KINDS

_UNAVAILABLE = {"code": -1000, "msg": "An unknown error occurred while processing the request."}
_TOO_MANY = {"code": -1003, "msg": "Too many requests; current limit is 2400 requests per minute."}


class DroppableConnection(H11Protocol):
    """An HTTP connection whose requests can cut it: they find it in the scope's state."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember the connection for the requests that come through it."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class FaultInjector:
    """An ASGI application around another one, that lets requests to the exchange fail.

    :param app: The application that answers.
    :param plan: Decides which requests fail, and how.
    """

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
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
