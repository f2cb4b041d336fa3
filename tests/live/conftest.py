"""Says with which seed the long tests ran, and how one that failed is repeated."""

from collections.abc import Generator

import pytest
from pluggy import Result

from .seeds import SEED


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Result[pytest.TestReport]]:
    report = (yield).get_result()
    if report.failed and item.get_closest_marker("long"):
        command = f"FREQAI_LSTM_SEED={SEED} pytest -m long --override-ini addopts= '{item.nodeid}'"
        report.sections.append(("The same again", command))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"FREQAI_LSTM_SEED={SEED} in tests/live")
