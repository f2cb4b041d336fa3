"""The routes under ``/replay`` that show and change what the replay exchange does."""

import json
from datetime import UTC, datetime

from fastapi import FastAPI, Request, Response

from freqai_lstm.exceptions import ReplayError

from .fault_plan import FaultPlan
from .faults import Fault
from .feed import Feed


class ControlApi:
    """Status and faults.

    :param feed: The market that is served.
    :param plan: The faults that are active.
    """

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
