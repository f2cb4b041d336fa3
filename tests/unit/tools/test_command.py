"""Tables stay readable where there is no terminal."""

import pytest

from freqai_lstm.tools.command import print_table


def test_table_in_a_file_is_not_squeezed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    headers = ["Pair", *(f"a rather long header {number}" for number in range(5))]
    print_table("TITLE", headers, [["BTC/USDT:USDT", 1, 2.5, "3", 4, 5]])
    output = capsys.readouterr().out
    assert "TITLE" in output
    assert "│ BTC/USDT:USDT │" in output
    assert "a rather long header 4" in output
