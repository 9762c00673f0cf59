"""Whether the rounds of a search are those of the run's histories."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rustk.planning.batches import FoldTask
from rustk.planning.races.base import EQUAL, merit
from rustk.report.data.histories import History
from rustk.store.documents import Round
from rustk.store.rounds import RoundContradicted, contradicted
from rustk.vocabulary import names
from rustk.vocabulary.schemas import MERIT

FloatArray = NDArray[np.float64]

# Recorded figures were computed elsewhere, perhaps by another version of numpy.
_SAME_FIGURE = max(EQUAL, 1e-9)


@dataclass(frozen=True)
class Curve:
    """val_auroc of one fold: `values[i]` at epoch `epochs[i]`."""

    epochs: NDArray[np.int64]
    values: FloatArray

    @property
    def digest(self) -> str:
        """SHA-256 of the epochs and values, little-endian. How long the fold took, and where, is no part of it."""
        return hashlib.sha256(self.epochs.astype("<i8").tobytes() + self.values.astype("<f8").tobytes()).hexdigest()


def curve_of(history: History) -> Curve:
    """The part of a history by which rounds are decided."""
    return Curve(history.rows["epoch"].to_numpy(), history.rows[MERIT].to_numpy())


def stacked(curves: Mapping[FoldTask, Curve], trials: Sequence[int], folds: Sequence[int]) -> FloatArray:
    """[trials, folds, epochs]; NaN where a fold has no value: after a divergence, and where its curve is not there."""
    latest = max((int(curve.epochs.max(initial=0)) for curve in curves.values()), default=0)
    values = np.full((len(trials), len(folds), max(latest, 1)), np.nan)
    for row, trial in enumerate(trials):
        for column, fold in enumerate(folds):
            curve = curves.get((trial, fold))
            if curve is not None:
                values[row, column, curve.epochs - 1] = np.where(np.isfinite(curve.values), curve.values, np.nan)
    return values


def judged_on(decided: Round) -> dict[FoldTask, str]:
    """The folds whose histories a round was decided on, with their digests."""
    found = {names.parse_fold_path(path): digest for path, digest in decided.histories.items()}
    return {task: digest for task, digest in found.items() if task is not None}


def check_histories(run: str, decided: Round, curves: Mapping[FoldTask, Curve]) -> None:
    """Raise RoundContradicted for a history that changed after the round, and for figures that they don't give.

    curves: those that are there of the folds that the round names. One that is not there is trained anew, and compared
    then; the figures are compared where all are there.
    """
    named = judged_on(decided)
    for task in sorted(named.keys() & curves.keys()):
        if curves[task].digest != named[task]:
            raise RoundContradicted(
                f"{names.history_key(run, *task)} is not the history that {names.round_key(run, decided.number)} was "
                "decided on: put that one back, or remove that round's file and those after it to have them decided "
                "again"
            )
    if named.keys() - curves.keys():
        return
    merits = {
        trial: merit(stacked(curves, [trial], sorted(fold for at, fold in named if at == trial))[0])
        for trial in sorted({trial for trial, _ in named})
    }
    if not decided.predictions:  # else the figures are of resamples
        _compare(run, decided, "figures", merits, decided.figures)
    for one in decided.dropped:
        where = f"dropped, trial {one.trial}"
        _compare(run, decided, f"{where}, figure", merits, {one.trial: one.figure})
        _compare(run, decided, f"{where}, best_figure", merits, {one.best: one.best_figure})


def _compare(
    run: str, decided: Round, what: str, merits: Mapping[int, float | None], said: Mapping[int, float | None]
) -> None:
    for trial, figure in said.items():
        if trial in merits and not _same(merits[trial], figure):
            at = f"{what}.{trial}" if what == "figures" else what
            raise contradicted(run, decided.number, f"{at} = {figure}: its histories give {merits[trial]}")


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=0.0, abs_tol=_SAME_FIGURE)
