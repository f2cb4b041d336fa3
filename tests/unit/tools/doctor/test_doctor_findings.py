"""What other code says while it is listened to."""

import logging
import warnings

import pytest

from freqai_lstm.tools.doctor.findings import listening

logger = logging.getLogger("freqtrade.somewhere")


def test_warnings_are_heard_and_kept_from_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with listening() as heard:
        logger.info("all is well")
        logger.warning("cannot read %s", "it")
        try:
            int("half a file")
        except ValueError:
            logger.exception("given up")
        warnings.warn("slow", stacklevel=1)
    assert heard == ["cannot read it", "given up"]
    assert not caplog.records


def test_the_log_goes_on_afterwards(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match="broken"), listening():
        raise ValueError("broken")
    logger.warning("as ever")
    assert [record.message for record in caplog.records] == ["as ever"]
