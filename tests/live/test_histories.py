"""A bot whose recorded predictions were damaged in several ways at once."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.histories import DAMAGES, Damage, check, load_strategy

from .seeds import SEED

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]


def test_bot_goes_on_with_a_history_damaged_twice(tmp_path: Path) -> None:
    strategy = load_strategy(tmp_path)
    examples = 0

    @seed(SEED)
    @settings(
        max_examples=200, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
    )
    @given(st.lists(st.sampled_from(DAMAGES), min_size=1, max_size=4, unique=True), st.data())
    def run(damages: list[Damage], data: st.DataObject) -> None:
        nonlocal examples
        check(strategy, damages, data)
        examples += 1

    run()
    print(f"{examples} damaged histories of two pairs")
