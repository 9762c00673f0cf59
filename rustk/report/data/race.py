"""A race as its rounds tell it: who was in it until when, on which folds, and what it saved.

A run whose search is no race has none of this. Of a search that asks for its trials in batches, each batch is a race.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rustk.planning.races.base import merit
from rustk.report.data.results import RunResults
from rustk.store.documents import DroppedTrial, Round
from rustk.vocabulary.schemas import MERIT


@dataclass(frozen=True)
class Step:
    """One round of a race. trials: those in it; fold: the one that it trained of each; seen: that and those before it.

    whole: trials of earlier batches that they were compared with. decided: the round's file, None for the last one,
    which decides nothing.
    """

    number: int
    trials: tuple[int, ...]
    fold: int
    seen: tuple[int, ...]
    whole: tuple[int, ...]
    decided: Round | None


@dataclass(frozen=True)
class Race:
    """Every race of a run, in order, each its steps in order. rule: the section `search.race`."""

    rule: Mapping[str, Any]
    races: tuple[tuple[Step, ...], ...]

    @property
    def kind(self) -> str:
        """What the rule is called."""
        return str(self.rule.get("kind", ""))

    @property
    def steps(self) -> tuple[Step, ...]:
        """All rounds in order."""
        return tuple(step for race in self.races for step in race)

    @property
    def dropped(self) -> tuple[tuple[Round, DroppedTrial], ...]:
        """Who was dropped, with the round."""
        return tuple((step.decided, one) for step in self.steps if step.decided for one in step.decided.dropped)

    def nearest(self) -> tuple[Round, DroppedTrial] | None:
        """Who was dropped with the least distance to the best, and in which round."""
        known = [(round_, one) for round_, one in self.dropped if one.figure is not None]
        return min(known, key=lambda pair: pair[1].best_figure - (pair[1].figure or 0.0), default=None)


def race_of(results: RunResults) -> Race | None:
    """The races of a run; None for one without."""
    rounds = [decided for decided in results.rounds if decided.rule is not None and decided.trials]
    if not rounds:
        return None
    races: list[list[Step]] = []
    for decided in rounds:
        before = races[-1][-1] if races else None
        goes_on = before is not None and before.decided is not None and decided.trials == before.decided.kept
        if not goes_on:
            races.append([])
        seen = before.seen if before is not None and goes_on else ()
        races[-1].append(
            Step(decided.number, decided.trials, decided.folds[-1], (*seen, *decided.folds), decided.whole, decided)
        )
    return Race(rounds[0].rule or {}, tuple(tuple(_with_last(results, race)) for race in races))


def _with_last(results: RunResults, race: list[Step]) -> list[Step]:
    """The rounds of a race with the last one, which has no file where no trials are asked for after it."""
    last = race[-1]
    left = [fold for fold in range(results.planned_folds) if fold not in last.seen]
    kept = last.decided.kept if last.decided else ()
    trained = [trial for trial in kept if all((trial, fold) in results.fold_metadata for fold in left)]
    if len(left) != 1 or not trained:
        return race
    return [*race, Step(last.number + 1, tuple(trained), left[0], (*last.seen, left[0]), last.whole, None)]


class Curves:
    """val_auroc of every fold by epoch, for figures of merit on some of the folds."""

    def __init__(self, results: RunResults) -> None:
        rows = results.histories
        self._epochs = int(rows["epoch"].max()) if len(rows) else 0
        self._curves: dict[tuple[int, int], NDArray[np.float64]] = {}
        for (trial, fold), part in rows.groupby(["trial", "fold"]):
            values = np.full(max(self._epochs, 1), np.nan)
            values[part["epoch"].to_numpy() - 1] = part[MERIT].to_numpy(dtype=np.float64)
            self._curves[int(trial), int(fold)] = values

    def of(self, trial: int, folds: Iterable[int]) -> NDArray[np.float64]:
        """[folds, epochs]; NaN where a fold has no value."""
        nothing = np.full(max(self._epochs, 1), np.nan)
        return np.stack([self._curves.get((trial, fold), nothing) for fold in folds])

    def merit(self, trial: int, folds: Iterable[int]) -> float | None:
        """The figure of merit on these folds: the maximum over epochs of their mean; None without one."""
        values = self.of(trial, folds)
        return merit(np.where(np.isfinite(values), values, np.nan))

    def best_epoch(self, trial: int, folds: Iterable[int]) -> int | None:
        """The epoch at which that is, the earliest of equals."""
        means = self.of(trial, folds).mean(axis=0)
        return int(np.nanargmax(means)) + 1 if np.isfinite(means).any() else None


def saved_words(results: RunResults, race: Race) -> str:
    """What a race saved, and what it may have cost, in two sentences."""
    planned, spared = len(results.trials) * results.planned_folds, len(results.dropped_folds)
    said = (
        f"The race over folds ({race.kind}) left {spared:,} of {planned:,} folds untrained ({spared / planned:.0%}): "
        f"it dropped {len(results.dropped):,} of {len(results.trials):,} trials."
    )
    nearest = race.nearest()
    if nearest is None:
        return f"{said} It cost nothing that could be measured." if not race.dropped else said
    decided, one = nearest
    lead = one.best_figure - (one.figure or 0.0)
    return (
        f"{said} What it may have cost is not known, for a dropped trial may have done better on the folds that it was "
        f"not trained on; the one dropped nearest to the best, trial {one.trial} in round {decided.number}, was "
        f"{lead:.4f} below it ({one.figure:.4f} against {one.best_figure:.4f} on the same "
        f"{_folds(results, one.trial)})."
    )


def _folds(results: RunResults, trial: int) -> str:
    count = results.planned_folds - sum(1 for at, _ in results.dropped_folds if at == trial)
    return f"{count} fold{'' if count == 1 else 's'}"
