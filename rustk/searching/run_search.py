"""A run's search carried on: what is decided by now, and which folds may be trained.

Everything follows from the store, so that `submit`, `wait`, the live page and a CronJob may all ask, at the same time.
A round's file is written once: who comes second reads it. It is checked against the histories that it was decided on,
as long as they are there, and against its own rule.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

import rustk
from rustk.planning.batches import FoldTask
from rustk.planning.plan import Plan
from rustk.planning.races.base import EQUAL, Standing, Verdict, merit
from rustk.planning.rounds import (
    Contradiction,
    OpenRound,
    SearchState,
    dropped_folds,
    is_decided_in_rounds,
    search_state,
    tasks_now,
)
from rustk.planning.search.base import AdaptiveSearch, Hyperparameters, Told
from rustk.searching.evidence import Curve, Evidence, FloatArray, stacked
from rustk.store import Store
from rustk.store.documents import DroppedTrial, Round, now
from rustk.store.rounds import put_round, read_rounds
from rustk.store.runs import fold_times, grow_trials
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData

if TYPE_CHECKING:
    from rustk.searching.resampling import Resampler

# Recorded figures were computed elsewhere, perhaps by another version of numpy.
_SAME_FIGURE = 1e-9

Written = Mapping[FoldTask, datetime]


@dataclass(frozen=True)
class Next:
    """What may be trained now. plan: with the trials that there are by now. rounds: those that are decided. dropped:
    folds that nobody will train, with the reason. complete: nothing is left to train, decide or ask for.
    """

    plan: Plan
    done: frozenset[FoldTask]
    tasks: tuple[FoldTask, ...]
    complete: bool
    rounds: tuple[Round, ...] = ()
    dropped: Mapping[FoldTask, str] = field(default_factory=dict)

    @property
    def folds_left(self) -> int:
        """How many folds the run may train in all: a bound that falls as rounds are decided."""
        return self.plan.all_trials * self.plan.study.folds.k - len(self.dropped)


class RunSearch:
    """The search of one run, from its plan; what it has read once it keeps."""

    def __init__(self, store: Store, plan: Plan, *, writes: bool = True) -> None:
        """writes: False decides in memory only, to say what would be."""
        self._store = store
        self._plan = plan
        self._writes = writes
        self._evidence = Evidence(store, plan.run)
        self._resampler: Resampler | None = None
        self._rounds: tuple[Round, ...] = ()
        self._checked: dict[int, object] = {}
        self._grown: tuple[Hyperparameters, ...] = ()

    @property
    def run(self) -> str:
        return self._plan.run

    @property
    def plan(self) -> Plan:
        """The plan with the trials that there were at the last `next`."""
        return self._plan

    def next(self) -> Next:
        """Decide what can be decided, and say what may be trained now.

        Raises BadData for a round's file that contradicts the plan, its rule or the histories that it names, and for a
        history that changed since; nothing is written then.
        """
        plan = self._plan
        if not is_decided_in_rounds(plan.study):
            done = frozenset(fold_times(self._store, names.histories_prefix(plan.run)))
            tasks = tuple(plan.next_tasks(done))
            return Next(plan, done, tasks, complete=not tasks)
        self._rounds = read_rounds(self._store, plan.run, self._rounds)
        while True:
            state = self._state()
            written = fold_times(self._store, names.histories_prefix(plan.run))
            self._check_rounds(state, written)
            plan = self._plan = replace(plan, trials=state.trials)
            if self._writes and self._grow():
                # Somebody may have asked for more meanwhile, whose trials these must not replace.
                self._rounds = read_rounds(self._store, plan.run, self._rounds)
                continue
            current = state.open
            lost = any(task not in written for task in state.trained)
            if current is None or not current.decides or lost or any(task not in written for task in current.tasks):
                break
            decided = self._decide(state, current, written)
            if self._writes:
                decided = put_round(self._store, plan.run, decided)
            self._rounds = (*self._rounds, decided)
        done = frozenset(written)
        tasks = tuple(tasks_now(plan.study, state, done, self._certain(current, written)))
        return Next(
            plan=plan,
            done=done,
            tasks=tasks,
            complete=not tasks and state.to_come == 0,
            rounds=self._rounds,
            dropped={
                task: why for task, why in dropped_folds(self._rounds, plan.study.folds.k).items() if task not in done
            },
        )

    def _grow(self) -> bool:
        """Write the trials that were asked for, where the run's files lack them; whether they did."""
        if not isinstance(self._plan.study.search, AdaptiveSearch) or self._plan.trials == self._grown:
            return False
        self._grown = self._plan.trials
        return grow_trials(self._store, self._plan)

    def _state(self, rounds: tuple[Round, ...] | None = None) -> SearchState:
        try:
            return search_state(self._plan.study, self._plan.trials, self._rounds if rounds is None else rounds)
        except Contradiction as error:
            raise self._contradicted(error.number, str(error)) from None

    def _standing(self, current: OpenRound, written: Written) -> tuple[Standing, dict[FoldTask, Curve]]:
        compared = current.trials + current.whole
        tasks = [(trial, fold) for trial in compared for fold in current.seen if (trial, fold) in written]
        curves = self._evidence.curves(tasks, written)
        pending = frozenset(trial for trial in current.trials if any((trial, f) not in curves for f in current.folds))
        values = stacked(curves, compared, current.seen)
        return Standing(current.trials, values, current.whole, pending=pending), curves

    def _certain(self, current: OpenRound | None, written: Written) -> tuple[int, ...]:
        """Trials of the open round that may be trained ahead."""
        search = self._plan.study.search
        if current is None or search is None or search.race is None or not current.later:
            return ()
        # A rule that reads predictions says nothing before the round is whole.
        if search.race.needs_predictions or search.race.settled(len(current.trials), len(current.whole)):
            return ()
        if not any(task in written for task in current.tasks):
            return ()
        return search.race.certain(self._standing(current, written)[0])

    def _decide(self, state: SearchState, current: OpenRound, written: Written) -> Round:
        standing, curves = self._standing(current, written)
        search, predictions = self._plan.study.search, dict[FoldTask, str]()
        assert search is not None  # it is decided in rounds
        if search.race is None or not current.trials:
            verdict = Verdict(current.trials, (), standing.merits)
        else:
            if search.race.needs_predictions:
                standing, predictions = self._resampled(standing, current, search.race.resample_count)
            verdict = search.race.decide(standing)
        decided = Round(
            number=current.number,
            trials=current.trials,
            whole=current.whole,
            folds=current.folds,
            rule=search.race.describe() if search.race else None,
            figures=dict(verdict.figures),
            kept=verdict.kept,
            dropped=tuple(
                DroppedTrial(trial=d.trial, figure=d.figure, best=d.best, best_figure=d.best_figure, why=d.why)
                for d in verdict.dropped
            ),
            histories={names.fold_path(*task): curve.digest for task, curve in sorted(curves.items())},
            predictions={names.fold_path(*task): digest for task, digest in sorted(predictions.items())},
            decided_at=now(),
            versions={"rustk": rustk.__version__, "numpy": np.__version__},
        )
        if state.to_come and (not current.later or not verdict.kept):
            decided = decided.model_copy(update={"asked": self._ask(state, decided, written)})
        return decided

    def _resampled(
        self, standing: Standing, current: OpenRound, resamples: int
    ) -> tuple[Standing, dict[FoldTask, str]]:
        epochs = {trial: _best_epoch(curves) for trial, curves in zip(standing.compared, standing.curves, strict=True)}
        if self._resampler is None:
            # pandas and scipy take a second to import, and of all rules only those that read predictions need them.
            from rustk.searching.resampling import Resampler

            self._resampler = Resampler(self._store, self._plan)
        figures, digests = self._resampler.figures(epochs, current.seen, number=current.number, resamples=resamples)
        return replace(standing, resampled=figures), digests

    def _ask(self, state: SearchState, decided: Round, written: Written) -> tuple[Hyperparameters, ...]:
        """The next batch of trials, from what all earlier ones came to."""
        search = self._plan.study.search
        assert isinstance(search, AdaptiveSearch)
        folds_of: dict[int, list[int]] = {}
        dropped = {one.trial for one in decided.dropped} | set(state.dropped)
        for one in (*self._rounds, decided):
            for trial in one.trials:
                folds_of.setdefault(trial, []).extend(one.folds)
        told = []
        for trial, hyperparameters in enumerate(state.trials):
            folds = folds_of[trial]
            curves = self._evidence.curves([(trial, fold) for fold in folds], written)
            figure = merit(stacked(curves, [trial], folds)[0])
            told.append(Told(hyperparameters, figure, folds=len(folds) if trial in dropped else None))
        count = min(search.batch, state.to_come)
        return tuple(search.ask(self._plan.study.seed, told, len(state.trials), count))

    def _check_rounds(self, state: SearchState, written: Written) -> None:
        """Raise BadData for a round that the histories, or its own figures, contradict."""
        for number, decided in enumerate(self._rounds, start=1):
            named = {task for path in decided.histories if (task := names.parse_fold_path(path)) is not None}
            # A history that is not there is trained anew, and compared then.
            present = {task: written[task] for task in sorted(named) if task in written}
            if self._checked.get(number) == present:
                continue
            curves = self._evidence.curves(present, written)
            for task, curve in curves.items():
                if curve.digest != decided.histories[names.fold_path(*task)]:
                    raise BadData(
                        f"{names.history_key(self._plan.run, *task)} is not the history that "
                        f"{names.round_key(self._plan.run, number)} was decided on: put that one back, or remove "
                        "that round's file and those after it to have them decided again"
                    )
            self._check_verdict(number, decided, curves if len(present) == len(named) else None)
            self._checked[number] = present

    def _check_verdict(self, number: int, decided: Round, curves: Mapping[FoldTask, Curve] | None) -> None:
        """curves: those that the round names; None where some are not there."""
        rule = self._plan.study.search.race if self._plan.study.search else None
        if rule is not None:
            kept = rule.keeps(decided.trials, decided.whole, decided.figures)
            if set(kept) != set(decided.kept):
                raise self._contradicted(number, f"kept = {list(decided.kept)}: by its figures expected {list(kept)}")
        before = self._state(self._rounds[: number - 1]).open
        if before is None:
            return
        expected = {names.fold_path(t, f) for t in before.trials + before.whole for f in before.seen}
        if set(decided.histories) != expected:
            odd = sorted(expected ^ set(decided.histories))[0]
            raise self._contradicted(number, f"histories: {odd} is there without need, or missing")
        if curves is None or (rule is not None and rule.needs_predictions):
            return
        compared = before.trials + before.whole
        for trial, own in zip(compared, stacked(curves, compared, before.seen), strict=True):
            figure, said = merit(own), decided.figures[trial]
            if not _same(figure, said):
                raise self._contradicted(number, f"figures.{trial} = {said}: its histories give {figure}")

    def _contradicted(self, number: int, why: str) -> BadData:
        key = names.round_key(self._plan.run, number)
        return BadData(
            f"{key}: {why}: put back the file as it was written, or remove it and those after it to have them decided "
            "again"
        )


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=0.0, abs_tol=max(_SAME_FIGURE, EQUAL))


def _best_epoch(curves: FloatArray) -> int | None:
    """The epoch at which the mean over folds of `curves` [folds, epochs] is highest, the earliest of equals."""
    means = curves.mean(axis=0)
    return int(np.nanargmax(means)) + 1 if np.isfinite(means).any() else None
