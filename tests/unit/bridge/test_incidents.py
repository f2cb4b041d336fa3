"""Failures are told, counted and kept."""

import json
import logging
from pathlib import Path

import pytest

from freqai_lstm.bridge import incidents
from freqai_lstm.bridge.incidents import IncidentLog, read_incidents


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "incidents.json"


def test_no_file_means_no_incidents(path: Path) -> None:
    assert read_incidents(path) == []
    IncidentLog(path)
    assert not path.exists()


def test_incidents_are_counted_by_pair_and_kind(path: Path) -> None:
    log = IncidentLog(path)
    log.record("BTC", "training", "first")
    log.record("ETH", "training", "other")
    log.record("BTC", "loading", "third")
    log.record("BTC", "training", "second")
    found = [(each.pair, each.kind, each.count, each.message) for each in read_incidents(path)]
    assert found == [
        ("BTC", "training", 2, "second"),
        ("ETH", "training", 1, "other"),
        ("BTC", "loading", 1, "third"),
    ]


def test_counts_survive_a_restart(path: Path) -> None:
    IncidentLog(path).record("BTC", "training", "first")
    IncidentLog(path).record("BTC", "training", "second")
    [incident] = read_incidents(path)
    assert incident.count == 2
    assert incident.first <= incident.last


def test_every_incident_is_one_line_of_the_log(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = IncidentLog(path)
    log.record("BTC", "training", "ran out of luck")
    log.record("BTC", "training", "ran out of luck")
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert lines == [
        "BTC: training failed (1 so far): ran out of luck",
        "BTC: training failed (2 so far): ran out of luck",
    ]


@pytest.mark.parametrize("content", ["{", "[1]", '[{"pair": "BTC"}]'])
def test_damaged_file_starts_the_count_again(
    path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text(content)
    log = IncidentLog(path)
    assert "counting starts again" in caplog.text
    log.record("BTC", "training", "first")
    assert [each.count for each in read_incidents(path)] == [1]


def test_full_disk_does_not_stop_the_count(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: Path) -> None:
        raise OSError("no space left on device")

    log = IncidentLog(path)
    with monkeypatch.context() as broken:
        broken.setattr(incidents, "replacing", refuse)
        log.record("BTC", "saving", "first")
    assert "no space left on device" in caplog.text
    log.record("BTC", "saving", "second")
    assert json.loads(path.read_text())[0]["count"] == 2
