"""BBCD-CV's rule: drop what loses to the best in almost every resample of the patients.

The out-of-fold predictions of every trial on the folds so far are resampled, the same patients for all trials, so that
each is compared with the best one on the same images. A trial that is worse in more than `confidence` of the resamples
would hardly be the best on other patients.

Source: Tsamardinos, Greasidou & Borboudakis, Bootstrapping the out-of-sample predictions for efficient and accurate
cross-validation, Machine Learning 107 (2018), algorithm 5 (BBCD-CV).
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from rustk.planning.races.base import EQUAL, RaceSpec, Standing


class Race(RaceSpec):
    """A round drops trials that are worse than the best in more than `confidence` of `resamples` resamples."""

    kind: Literal["bootstrap"] = "bootstrap"
    confidence: float = Field(
        0.99, strict=True, gt=0.5, lt=1.0, description="in which share of resamples a trial must lose to be dropped"
    )
    resamples: int = Field(
        1000, strict=True, ge=100, le=100_000, description="how often the patients are resampled in a round"
    )

    needs_predictions: ClassVar[bool] = True

    @property
    def resample_count(self) -> int:
        return self.resamples

    def figures(self, standing: Standing) -> dict[int, float | None]:
        """In which share of the resamples each trial is worse than the best; 0 where there is no best one.

        A trial without a figure of merit is worse in all. Resamples without a figure for one of the two count for
        neither. Raises ValueError without resampled figures.
        """
        if standing.resampled is None:
            raise ValueError("the figures of the resamples are missing")
        best = standing.best
        if best is None:
            return dict.fromkeys(standing.compared, 0.0)
        row = dict(zip(standing.compared, standing.resampled, strict=True))
        shares: dict[int, float | None] = {}
        for trial in standing.compared:
            if standing.merits[trial] is None:
                shares[trial] = 1.0
                continue
            difference = row[best] - row[trial]
            defined = np.isfinite(difference)
            shares[trial] = float((difference[defined] > EQUAL).mean()) if defined.any() else 0.0
        return shares

    def keeps(
        self, trials: Sequence[int], whole: Sequence[int], figures: Mapping[int, float | None]
    ) -> tuple[int, ...]:
        return tuple(trial for trial in trials if (share := figures[trial]) is not None and share <= self.confidence)

    def why(self, trial: int, best: int, standing: Standing, figures: Mapping[int, float | None]) -> str:
        if standing.merits[trial] is None:
            return "no epoch has a value of every fold"
        share = figures[trial] or 0.0
        return f"worse than trial {best} in {100 * share:.1f} % of {self.resamples} resamples of the patients"

    def certain(self, standing: Standing) -> tuple[int, ...]:
        """Nobody before the round is whole: the best may still be to come. A lone trial always goes on."""
        return standing.trials if self.settled(len(standing.trials), len(standing.whole)) else ()

    def settled(self, trials: int, whole: int) -> bool:
        return trials + whole <= 1

    def fewest_kept(self, trials: int, whole: int) -> int:
        return 0 if whole else min(1, trials)
