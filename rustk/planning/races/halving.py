"""Halving over folds: a round keeps the better share of its trials, until few are left.

Source: successive halving (Jamieson & Talwalkar, Non-stochastic best arm identification and hyperparameter
optimization, AISTATS 2016), with folds instead of epochs as what is added in a round.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from rustk.planning.races.base import EQUAL, RaceSpec, Standing
from rustk.vocabulary.wording import counted


class Race(RaceSpec):
    """A round keeps the best `keep` of its trials, and no fewer than `least`; equals of the last one kept stay too."""

    kind: Literal["halving"] = "halving"
    keep: float = Field(0.5, strict=True, gt=0.0, lt=1.0, description="which share of its trials a round keeps")
    least: int = Field(8, strict=True, ge=1, description="how many trials a round keeps at least")

    def figures(self, standing: Standing) -> dict[int, float | None]:
        """The figure of merit on the folds so far."""
        return dict(standing.merits)

    def keeps(
        self, trials: Sequence[int], whole: Sequence[int], figures: Mapping[int, float | None]
    ) -> tuple[int, ...]:
        """Those with a figure at or above that of the last place kept. A trial without a figure goes before any other,
        but where all places are kept.
        """
        places = self._places(len(trials))
        ranked = sorted((figure for figure in figures.values() if figure is not None), reverse=True)
        if places >= len(trials) + len(whole) or not ranked:
            return tuple(trials)
        bar = ranked[min(places, len(ranked)) - 1] - EQUAL
        return tuple(trial for trial in trials if (figure := figures[trial]) is not None and figure >= bar)

    def why(self, trial: int, best: int, standing: Standing, figures: Mapping[int, float | None]) -> str:
        if figures[trial] is None:
            return "no epoch has a value of every fold"
        compared = counted(len(standing.compared), "trial")
        return f"not among the best {self._places(len(standing.trials))} of {compared}"

    def certain(self, standing: Standing) -> tuple[int, ...]:
        """All where all places are kept; else those whom too few can still come before."""
        places = self._places(len(standing.trials))
        if places >= len(standing.compared):
            return standing.trials
        known = {trial: figure for trial, figure in standing.merits.items() if trial not in standing.pending}
        certain = []
        for trial in standing.trials:
            figure = known.get(trial)
            if figure is None:
                continue
            ahead = sum(other is not None and other > figure for other in known.values())
            if ahead + len(standing.pending) < places:
                certain.append(trial)
        return tuple(certain)

    def settled(self, trials: int, whole: int) -> bool:
        return self._places(trials) >= trials + whole

    def fewest_kept(self, trials: int, whole: int) -> int:
        # Whole ones may take every place.
        return max(0, min(trials, self._places(trials) - whole))

    def check(self, trials: int) -> None:
        if self.least >= trials:
            wanted = f"fewer than {trials}" if trials > 1 else "no race"
            raise ValueError(
                f"least = {self.least}: the search has {counted(trials, 'trial')}, so that the race would drop none: "
                f"expected {wanted}"
            )

    def _places(self, trials: int) -> int:
        return max(math.ceil(self.keep * trials - EQUAL), self.least)
