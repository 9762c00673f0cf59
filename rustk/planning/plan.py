"""From a study and a dataset to a plan: its run id, its trials, and in which fold each image validates."""

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rustk.planning.batches import FoldTask
from rustk.planning.folds import assign_folds
from rustk.planning.rounds import DecidedRound, is_decided_in_rounds, search_state, tasks_now
from rustk.planning.search.base import AdaptiveSearch, Hyperparameters
from rustk.planning.study import Study, run_id
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.instrument import Instrument
from rustk.vocabulary.names import NAME_RULE, is_name

# A larger study is a mistake: listing its folds alone would take minutes.
MOST_TASKS = 1_000_000


@dataclass(frozen=True)
class Plan:
    """All that is decided before anything runs. Develop image `sample_ids[i]` validates in fold `fold_of[i]`.

    weights_sha256: of the backbone's weights, None for random ones. taken_from: with `--from`, what was taken from
    which run.
    """

    run: str
    study: Study
    trials: tuple[Hyperparameters, ...]
    sample_ids: tuple[str, ...]
    fold_of: np.ndarray
    dataset: str
    dataset_digest: str
    instrument: Instrument
    weights_sha256: str | None
    taken_from: Mapping[str, Any] | None = None

    @property
    def tasks(self) -> list[FoldTask]:
        """Every planned (trial, fold), trial by trial."""
        return [(trial, fold) for trial in range(len(self.trials)) for fold in range(self.study.folds.k)]

    @property
    def all_trials(self) -> int:
        """How many trials there will be in the end: a search that learns asks for them in batches."""
        search = self.study.search
        return max(len(self.trials), search.trials) if isinstance(search, AdaptiveSearch) else len(self.trials)

    def next_tasks(
        self, done: Set[FoldTask], rounds: Sequence[DecidedRound] = (), certain: Iterable[int] = ()
    ) -> Sequence[FoldTask]:
        """The (trial, fold) pairs that may be trained now, in order. A pure function: several processes at a time ask
        it, and get the same answer, in whatever order folds ended.

        done: those with a history. rounds: those that are decided. certain: trials that the open round is sure to keep.
        Raises Contradiction for rounds that don't follow from the plan.
        """
        if not is_decided_in_rounds(self.study):
            return [task for task in self.tasks if task not in done]
        return tasks_now(self.study, search_state(self.study, self.trials, rounds), done, certain)

    def study_of(self, trial: int) -> Study:
        """The study with one trial's hyperparameters. Raises BadStudy for a trial that was not planned."""
        if trial not in range(len(self.trials)):
            raise BadStudy(f"run {self.run} has no trial {trial}: it has {len(self.trials)}, counted from 0")
        return self.study.with_hyperparameters(self.trials[trial])

    def hyperparameters_of(self, trial: int) -> Hyperparameters:
        """What a trial trains with, by short name: what every study has, and what this one searches."""
        return {**self.study_of(trial).hyperparameters, **self.trials[trial]}


def make_plan(
    study: Study,
    index: pa.Table,
    *,
    dataset: str,
    dataset_digest: str,
    instrument: Instrument,
    weights_sha256: str | None,
    name: str | None = None,
    taken_from: Mapping[str, Any] | None = None,
) -> Plan:
    """Plan a study on a dataset.

    index: the dataset's index.parquet, of which the develop images are cut into folds. weights_sha256: of the study's
    weights, None for random ones. name: the run's id, instead of study name + hash.
    Raises BadStudy where they don't fit together.
    """
    if name is not None and not is_name(name):
        raise BadStudy(f"--name {clip(name)}: expected {NAME_RULE}")
    if (
        study.model.dropout
        and not study.model.head
        and "model.head" not in (study.search.paths if study.search else ())
    ):
        raise BadStudy(
            f"model.dropout = {study.model.dropout:g}: it has no effect where model.head is []: leave it out, or give "
            "the head layers"
        )
    develop = index.filter(pc.equal(index["split"], "develop"))
    fold_of = assign_folds(
        study.folds,
        instrument,
        develop["patient"].to_pylist(),
        develop["view"].to_pylist(),
        {site: develop[site].to_pylist() for site in instrument.site_names},
        dataset=dataset,
    )
    trials = tuple(study.trials())
    plan = Plan(
        run=name or run_id(study, dataset_digest, weights_sha256),
        study=study,
        trials=trials,
        sample_ids=tuple(develop["sample_id"].to_pylist()),
        fold_of=fold_of,
        dataset=dataset,
        dataset_digest=dataset_digest,
        instrument=instrument,
        weights_sha256=weights_sha256,
        taken_from=taken_from,
    )
    if plan.all_trials * study.folds.k > MOST_TASKS:
        raise BadStudy(
            f"search and folds.k: {plan.all_trials:,} trials of {study.folds.k} folds: expected at most {MOST_TASKS:,} "
            "folds in all"
        )
    if study.search is not None and study.search.race is not None:
        try:
            study.search.race.check(plan.all_trials)
        except ValueError as error:
            raise BadStudy(f"search.race.{error}") from None
    return plan


def check_extends(plan: Plan, existing: Plan) -> None:
    """Raise BadStudy unless `plan` can go on in the run where `existing` was planned: the same but for more trials."""
    differs = [
        what
        for what, new, old in (
            ("another study", *(json.dumps(one.study.decisive(), sort_keys=True) for one in (plan, existing))),
            ("another dataset", (plan.dataset, plan.dataset_digest), (existing.dataset, existing.dataset_digest)),
            ("other weights", plan.weights_sha256, existing.weights_sha256),
            ("other folds", (plan.sample_ids, plan.fold_of.tolist()), (existing.sample_ids, existing.fold_of.tolist())),
        )
        if new != old
    ]
    shared = min(len(plan.trials), len(existing.trials))
    if not differs and plan.trials[:shared] != existing.trials[:shared]:
        differs = ["other trials"]
    if differs:
        raise BadStudy(f"run {plan.run} was planned with {' and '.join(differs)}: give this one a new --name")
