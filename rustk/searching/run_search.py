"""A run's search carried on: what is decided by now, and which folds may be trained.

Everything follows from the store, so that `submit`, `wait`, the live page and a CronJob may all ask, at the same time.
A round's file is written once: who comes second reads it. It is checked against the histories that it was decided on,
as long as they are there, and against its own rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

import rustk
from rustk.planning.batches import FoldTask
from rustk.planning.plan import Plan
from rustk.planning.races.base import Standing, Verdict, merit
from rustk.planning.rounds import OpenRound, SearchState, dropped_folds, is_decided_in_rounds, tasks_now
from rustk.planning.search.base import AdaptiveSearch, Hyperparameters, Told
from rustk.report.data.decided import Curve, FloatArray, check_histories, judged_on, stacked
from rustk.searching.evidence import Evidence
from rustk.store import Store
from rustk.store.documents import DroppedTrial, Round, now
from rustk.store.rounds import put_round, read_rounds
from rustk.store.runs import fold_times, follow_rounds, grow_trials
from rustk.vocabulary import names

if TYPE_CHECKING:
    from rustk.searching.resampling import Resampler

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

        Raises RoundContradicted for a round's file that contradicts the plan, its rule or the histories that it names,
        and for a history that changed since; nothing is written then.
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
            self._check_rounds(written)
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

    def _state(self) -> SearchState:
        return follow_rounds(self._plan.run, self._plan.study, self._plan.trials, self._rounds)

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

    def _check_rounds(self, written: Written) -> None:
        """Raise RoundContradicted for a round that the histories contradict."""
        for number, decided in enumerate(self._rounds, start=1):
            # A history that is not there is trained anew, and compared then.
            present = {task: written[task] for task in sorted(judged_on(decided)) if task in written}
            if self._checked.get(number) == present:
                continue
            check_histories(self._plan.run, decided, self._evidence.curves(present, written))
            self._checked[number] = present


def _best_epoch(curves: FloatArray) -> int | None:
    """The epoch at which the mean over folds of `curves` [folds, epochs] is highest, the earliest of equals."""
    means = curves.mean(axis=0)
    return int(np.nanargmax(means)) + 1 if np.isfinite(means).any() else None
