"""Orders on their way are on disk before they are sent."""

from pathlib import Path

import pytest

from freqai_lstm.bridge import sent_orders
from freqai_lstm.bridge.sent_orders import SentOrder, SentOrders

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
ENTRY = SentOrder(BTC, "buy", False, 100.0, "above", 1_700_000_000.5, 7)
EXIT = SentOrder(BTC, "sell", True, 101.0, None, 1_700_000_060.0, 8)
OTHER = SentOrder(ETH, "sell", False, 10.0, "below", 1_700_000_001.0, 7)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sent_orders.json"


def test_orders_survive_the_process(path: Path) -> None:
    assert list(SentOrders(path)) == []
    orders = SentOrders(path)
    for order in (ENTRY, OTHER, EXIT):
        orders.add(order)
    again = SentOrders(path)
    assert list(again) == list(orders) == [EXIT, OTHER]
    assert BTC in again
    again.remove(EXIT)
    assert BTC not in again
    assert list(SentOrders(path)) == [OTHER]


def test_a_newer_order_of_the_pair_stays(path: Path) -> None:
    orders = SentOrders(path)
    orders.add(EXIT)
    orders.remove(ENTRY)
    assert list(SentOrders(path)) == [EXIT]


@pytest.mark.parametrize("content", ["{", "[1]", '[{"pair": "BTC"}]'])
def test_damaged_file_is_told_of(
    path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text(content)
    assert list(SentOrders(path)) == []
    assert f"{path} must hold a list of orders" in caplog.text


def test_what_could_not_be_written_is_not_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise OSError("no space left on device")

    orders = SentOrders(path)
    monkeypatch.setattr(sent_orders, "replacing", refuse)
    with pytest.raises(OSError, match="no space"):
        orders.add(ENTRY)
    assert list(orders) == []
