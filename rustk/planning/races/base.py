"""What every rule of a race has in common.

A round trains one more fold of every trial that is still in it, and is decided once it is whole: a rule says which
trials the next round trains. A rule is one file of this folder that defines `Race`, a subclass of `RaceSpec`: its
fields are those of the section `search.race`. Everything here is pure: the same histories, the same rounds, in whatever
order their folds ended.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rustk.vocabulary.checking import Strict

FloatArray = NDArray[np.float64]

# Figures so close are equal: the same sum in another order differs in its last digits.
EQUAL = 1e-12
# Keeps the order of a race's folds apart from whatever else the study's seed draws.
_ORDER_STREAM = 0x7ACE


@dataclass(frozen=True)
class Standing:
    """What is known when a round is decided.

    `trials` are those in the round, `whole` earlier ones that are trained on every fold, of earlier batches of a
    model-based search: they are compared with, and can't be dropped any more.
    curves [trials + whole, rounds so far, epochs]: val_auroc of the folds in the order of the race, NaN from a
    divergence on. resampled [trials + whole, R]: the figure on the same folds in R resamples of the patients, for rules
    that need predictions; NaN where it has none. pending: trials of a round that is not whole yet, whose last curve is
    not known.
    """

    trials: tuple[int, ...]
    curves: FloatArray
    whole: tuple[int, ...] = ()
    resampled: FloatArray | None = None
    pending: frozenset[int] = frozenset()

    @property
    def compared(self) -> tuple[int, ...]:
        """The trials of the rows, in their order."""
        return self.trials + self.whole

    @cached_property
    def merits(self) -> dict[int, float | None]:
        """The figure of merit on the folds so far: the mean over folds at each epoch, then the maximum over epochs;
        None where no epoch has a value of every fold.
        """
        return {trial: merit(curves) for trial, curves in zip(self.compared, self.curves, strict=True)}

    @property
    def best(self) -> int | None:
        """The trial with the highest figure of merit, the lowest number of equals; None where none has a figure."""
        with_figure = [(-figure, trial) for trial, figure in self.merits.items() if figure is not None]
        return min(with_figure)[1] if with_figure else None


@dataclass(frozen=True)
class Dropped:
    """A trial that a round ends, with its figure of merit and the best one's at that round; `why` in words."""

    trial: int
    figure: float | None
    best: int
    best_figure: float
    why: str


@dataclass(frozen=True)
class Verdict:
    """Which trials of a round go on, and which don't. figures: what decided, in the rule's own terms."""

    kept: tuple[int, ...]
    dropped: tuple[Dropped, ...]
    figures: Mapping[int, float | None]


class RaceSpec(Strict):
    """The section `search.race` of a study."""

    kind: str

    # Whether the rule reads out-of-fold predictions (`Standing.resampled`), or histories alone.
    needs_predictions: ClassVar[bool] = False

    @property
    def resample_count(self) -> int:
        """How many resamples of the patients the rule needs in a round."""
        return 0

    def order(self, seed: int, folds: int) -> tuple[int, ...]:
        """The folds in the order in which rounds train them. `seed` is the study's."""
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, _ORDER_STREAM])))
        return tuple(int(fold) for fold in rng.permutation(folds))

    def decide(self, standing: Standing) -> Verdict:
        """The end of a whole round. Nobody is dropped where no trial has a figure of merit."""
        figures = self.figures(standing)
        kept = self.keeps(standing.trials, standing.whole, figures)
        best = standing.best
        if best is None:
            return Verdict(standing.trials, (), figures)
        best_figure = standing.merits[best]
        assert best_figure is not None  # it is the highest there is
        dropped = tuple(
            Dropped(trial, standing.merits[trial], best, best_figure, self.why(trial, best, standing, figures))
            for trial in standing.trials
            if trial not in set(kept)
        )
        return Verdict(kept, dropped, figures)

    @abstractmethod
    def figures(self, standing: Standing) -> dict[int, float | None]:
        """By what the rule decides, for every trial compared."""

    @abstractmethod
    def keeps(
        self, trials: Sequence[int], whole: Sequence[int], figures: Mapping[int, float | None]
    ) -> tuple[int, ...]:
        """Which of `trials` go on, given the rule's figures of them and of `whole` ones."""

    @abstractmethod
    def why(self, trial: int, best: int, standing: Standing, figures: Mapping[int, float | None]) -> str:
        """Why `trial` is dropped: a part of a sentence."""

    @abstractmethod
    def certain(self, standing: Standing) -> tuple[int, ...]:
        """Trials of a round that is not whole which it keeps whatever the rest of it gives: they may be trained ahead.

        A pending trial is among them only where the rule keeps everybody.
        """

    @abstractmethod
    def settled(self, trials: int, whole: int) -> bool:
        """Whether no later round drops any of so many trials, compared with so many whole ones."""

    @abstractmethod
    def fewest_kept(self, trials: int, whole: int) -> int:
        """How few of so many trials a round may keep where none diverges."""

    def check(self, trials: int) -> None:
        """Raise ValueError, naming the field, where the rule makes no sense for a search of so many trials."""

    def describe(self) -> dict[str, Any]:
        """The section, as a round's file has it."""
        return self.model_dump(mode="json")


def merit(curves: FloatArray) -> float | None:
    """The figure of merit of `curves` [folds, epochs]: the maximum over epochs of the mean over folds, at epochs where
    every fold has a value; None without one.
    """
    means = np.asarray(curves, dtype=np.float64).mean(axis=0)
    means = means[np.isfinite(means)]
    return float(means.max()) if means.size else None
