"""The warning outside the tested versions."""

import logging

import pytest

from freqai_lstm.bridge import versions as compatibility
from freqai_lstm.bridge.versions import untested, warn_if_untested


def install(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    present = {"freqtrade": "2026.9", "pandas": "3.0.6"} | versions
    monkeypatch.setattr(compatibility, "version", present.__getitem__)


@pytest.mark.parametrize("versions", [{}, {"freqtrade": "2026.9.1"}, {"pandas": "3.0.9"}])
def test_tested_versions_are_passed_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, versions: dict[str, str]
) -> None:
    install(monkeypatch, **versions)
    warn_if_untested()
    assert not caplog.records


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("freqtrade", "2026.10"),
        ("freqtrade", "2026.8"),
        ("freqtrade", "2026.10.dev0"),
        ("pandas", "3.1.1"),
        ("pandas", "2.3.3"),
    ],
)
def test_others_are_warned_of_by_name(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, found: str
) -> None:
    install(monkeypatch, **{name: found})
    with caplog.at_level(logging.WARNING):
        warn_if_untested()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"{name} {found} was not tested" in caplog.text
    assert list(untested()) == [name]
