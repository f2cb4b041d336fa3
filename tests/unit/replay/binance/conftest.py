"""Ways to ask the replay exchange, as futures and as spot."""

from collections.abc import Callable

import pytest
import requests

from tests.replay_server import ReplayServer

Ask = Callable[..., requests.Response]


def asking(root: str) -> Ask:
    """Ask for a path below an address, with parameters."""
    return lambda path, **params: requests.get(f"{root}/{path}", params=params, timeout=10)


@pytest.fixture
def ask_futures(server: ReplayServer) -> Ask:
    return asking(f"{server.url}/fapi/v1")


@pytest.fixture
def ask_spot(spot_server: ReplayServer) -> Ask:
    return asking(f"{spot_server.url}/api/v3")


@pytest.fixture(params=["futures", "spot"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Each of the two."""
    chosen: Ask = request.getfixturevalue(f"ask_{request.param}")
    return chosen
