"""Which pairs can be examined, and what is wrong with where they come from."""

from typing import Any

import pytest

from freqai_lstm.tools.doctor.pairs import check_pairs
from tests.conftest import PAIRS


def test_pairs_are_those_of_the_configuration(config: dict[str, Any]) -> None:
    pairs, finding = check_pairs(config | {"pairs": ["NEW/USDT:USDT", PAIRS[0]]})
    assert pairs == ["NEW/USDT:USDT", PAIRS[0]]
    assert (finding.found, finding.problem) == (2, "")


def test_pattern_stands_for_stored_pairs(config: dict[str, Any]) -> None:
    pairs, finding = check_pairs(config | {"pairs": ["(BTC|ETH)/.*", PAIRS[0]]})
    assert pairs == PAIRS[:2]
    assert not finding.problem


def test_pattern_without_a_stored_pair_is_named(config: dict[str, Any]) -> None:
    pairs, finding = check_pairs(config | {"pairs": [".*/EUR", PAIRS[0]]})
    assert pairs == PAIRS[:1]
    assert finding.problem.startswith("exchange.pair_whitelist: must name pairs, or patterns of")
    assert str(config["datadir"]) in finding.problem
    assert finding.problem.endswith("was '.*/EUR', which is none")


@pytest.mark.parametrize("whitelist", [[], None])
def test_empty_whitelist_is_a_problem(config: dict[str, Any], whitelist: Any) -> None:
    pairs, finding = check_pairs(config | {"pairs": whitelist})
    assert pairs == []
    assert finding.problem == "exchange.pair_whitelist: must name at least one pair, was empty"


@pytest.mark.parametrize(
    ("whitelist", "reason"),
    [(["*/USDT"], "nothing to repeat at position 0"), ([5], "must be string")],
)
def test_whitelist_of_something_else_is_a_problem(
    config: dict[str, Any], whitelist: list[Any], reason: str
) -> None:
    pairs, finding = check_pairs(config | {"pairs": whitelist})
    assert pairs == []
    assert f"must be a list of pairs, was {whitelist!r}: " in finding.problem
    assert reason in finding.problem


@pytest.mark.parametrize("method", ["VolumePairList", "RemotePairList", "ProducerPairList"])
def test_pairs_of_a_dynamic_list_are_not_known(config: dict[str, Any], method: str) -> None:
    dynamic = {"pairlists": [{"method": method}, {"method": "AgeFilter"}]}
    pairs, finding = check_pairs(config | dynamic | {"pairs": PAIRS[:2]})
    assert pairs == PAIRS[:2]
    assert finding.found == f"2, without those of {method}"
    assert f"pairlists: must begin with StaticPairList, was {method!r}" in finding.problem
    assert f"The pairs that {method} chooses could not be checked" in finding.problem
    assert finding.problem.endswith(", ".join(PAIRS[:2]))


def test_dynamic_list_needs_no_whitelist(config: dict[str, Any]) -> None:
    dynamic = {"pairlists": [{"method": "VolumePairList"}], "pairs": []}
    pairs, finding = check_pairs(config | dynamic)
    assert pairs == []
    assert finding.problem.endswith("--pairs: none")
    assert "must name at least one pair" not in finding.problem


@pytest.mark.parametrize(
    "pairlists", [None, [{"method": "StaticPairList"}, {"method": "VolumePairList"}]]
)
def test_static_list_may_be_filtered_or_left_out(config: dict[str, Any], pairlists: Any) -> None:
    _, finding = check_pairs(config | {"pairlists": pairlists, "pairs": PAIRS})
    assert not finding.problem
