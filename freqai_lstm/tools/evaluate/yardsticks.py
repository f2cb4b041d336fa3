"""What each model knows of a return, beside ridge regression and persistence."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from freqai_lstm.tools.information import (
    Information,
    Judgement,
    information,
    judge,
    mean_information,
)


@dataclass(frozen=True)
class InformationRow:
    """What a model knows of a return, on the mean over its seeds.

    ``seeds`` are the cross-sectional rank ICs of each of them.
    """

    horizon: int
    label: str
    model: str
    judgement: Judgement
    seeds: Sequence[float]


@dataclass
class Panel:
    """Predictions and truths of a return, of several pairs.

    :ivar horizon: ``label_period_candles``.
    :ivar overlap: How many candles ahead the label looks.
    :ivar true: The truths by pair.
    :ivar predicted: The predictions of each model, seed by seed, by pair.
    """

    horizon: int
    label: str
    overlap: int
    true: dict[str, pd.Series] = field(default_factory=dict)
    predicted: dict[str, list[dict[str, pd.Series]]] = field(default_factory=dict)

    def add(
        self, pair: str, index: pd.Index, forecasts: Mapping[str, Sequence[pd.DataFrame]]
    ) -> None:
        """Add a pair.

        :param index: All its candles: what was not compared still separates its neighbours.
        :param forecasts: The compared candles of each model, seed by seed.
        """
        for model, seeds in forecasts.items():
            self.true[pair] = seeds[0]["true"].reindex(index)
            known = self.predicted.setdefault(model, [{} for _ in seeds])
            for of_seed, frame in zip(known, seeds, strict=True):
                of_seed[pair] = frame["predicted"].reindex(index)

    def rows(self) -> Iterator[InformationRow]:
        """Give a row for each model."""
        true = pd.DataFrame(self.true)
        seeds: dict[str, list[Information]] = {
            model: [information(pd.DataFrame(each), true, self.overlap) for each in of_model]
            for model, of_model in self.predicted.items()
        }
        judged = judge({model: mean_information(of_model) for model, of_model in seeds.items()})
        for model, judgement in judged.items():
            of_seeds = [each.figures.cross_sectional.value for each in seeds[model]]
            yield InformationRow(self.horizon, self.label, model, judgement, of_seeds)
