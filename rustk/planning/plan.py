"""From a study and a dataset to a plan: its run id, trials, folds, and the files that describe them in the store."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import rustk
from rustk.planning.folds import assign_folds
from rustk.planning.search import Hyperparameters, draw_trials
from rustk.planning.study import RESULT_VERSION, Study, run_id, study_fields, study_from_fields
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy
from rustk.vocabulary.labels import CORTICES
from rustk.vocabulary.schemas import FOLDS, encode_parquet


@dataclass(frozen=True)
class Plan:
    """All that is decided before anything runs. Develop image `sample_ids[i]` validates in fold `fold_of[i]`."""

    run: str
    study: Study
    trials: tuple[Hyperparameters, ...]
    sample_ids: tuple[str, ...]
    fold_of: np.ndarray
    dataset: Mapping[str, str]  # name, digest
    weights: Mapping[str, str | None]  # name, sha256
    taken_from: Mapping[str, Any] | None = None

    @property
    def tasks(self) -> list[tuple[int, int]]:
        """Every (trial, fold), trial by trial."""
        return [(trial, fold) for trial in range(len(self.trials)) for fold in range(self.study.folds.k)]

    def files(self) -> dict[str, bytes]:
        """The run's files in the store by key; study.json last, since its presence means the others are there."""
        return {
            names.folds_key(self.run): encode_parquet(
                pa.table({"sample_id": list(self.sample_ids), "fold": self.fold_of}, schema=FOLDS)
            ),
            names.trials_key(self.run): encode_parquet(trials_table(self.trials)),
            names.run_study_key(self.run): _json(
                {
                    "schema": 1,
                    "run": self.run,
                    "study": study_fields(self.study),
                    "dataset": dict(self.dataset),
                    "weights": dict(self.weights),
                    "planned": {
                        "trials": len(self.trials),
                        "folds": self.study.folds.k,
                        "epochs": self.study.training.epochs,
                    },
                    "versions": {"rustk": rustk.__version__, "result": RESULT_VERSION},
                    "taken_from": dict(self.taken_from) if self.taken_from else None,
                }
            ),
        }


def make_plan(
    study: Study,
    dataset: Mapping[str, Any],
    index: pa.Table,
    weights: Mapping[str, str | None],
    *,
    name: str | None = None,
    taken_from: Mapping[str, Any] | None = None,
) -> Plan:
    """Plan a study on a dataset.

    dataset: the content of dataset.json; index: that of index.parquet; weights: name and sha256 (None for random ones).
    name: the run's id, instead of study name + hash. Raises BadStudy where they don't fit together.
    """
    if name is not None and not names.is_name(name):
        raise BadStudy(f"--name {name!r}: expected at most 63 lower-case letters, digits and dashes")
    develop = index.filter(pc.equal(index["split"], "develop"))
    fold_of = assign_folds(
        study.folds,
        develop["patient"].to_pylist(),
        develop["view"].to_pylist(),
        {cortex: develop[cortex].to_pylist() for cortex in CORTICES},
        dataset=dataset["name"],
    )
    return Plan(
        run=name or run_id(study, dataset["digest"], weights["sha256"]),
        study=study,
        trials=tuple(draw_trials(study)),
        sample_ids=tuple(develop["sample_id"].to_pylist()),
        fold_of=fold_of,
        dataset={"name": dataset["name"], "digest": dataset["digest"]},
        weights=weights,
        taken_from=taken_from,
    )


def read_plan(study_json: bytes, trials_parquet: bytes, folds_parquet: bytes, *, run: str) -> Plan:
    """The plan that `Plan.files` wrote. Raises BadData for files that it did not write."""
    try:
        described = json.loads(study_json)
        folds = pq.read_table(io.BytesIO(folds_parquet))
        return Plan(
            run=described["run"],
            study=study_from_fields(described["study"], names.run_study_key(run)),
            trials=read_trials(trials_parquet),
            sample_ids=tuple(folds["sample_id"].to_pylist()),
            fold_of=folds["fold"].to_numpy(),
            dataset=described["dataset"],
            weights=described["weights"],
            taken_from=described["taken_from"],
        )
    except (ValueError, KeyError, pa.ArrowException) as error:
        raise BadData(
            f"run {run} was not planned by this version of rustk, so it can be aggregated but not continued: {error}"
        ) from error


def trials_table(trials: tuple[Hyperparameters, ...]) -> pa.Table:
    """trials.parquet: the trial's number, then a column for each hyperparameter that the search varies."""
    columns = {name: [trial[name] for trial in trials] for name in trials[0]}
    return pa.table({"trial": pa.array(range(len(trials)), pa.int64()), **columns})


def read_trials(trials_parquet: bytes) -> tuple[Hyperparameters, ...]:
    """The inverse of `trials_table`, as Parquet bytes."""
    rows = pq.read_table(io.BytesIO(trials_parquet)).sort_by("trial").to_pylist()
    return tuple({name: value for name, value in row.items() if name != "trial"} for row in rows)


def check_extends(plan: Plan, existing: Plan) -> None:
    """Raise BadStudy unless `plan` can go on in the run where `existing` was planned: the same but for more trials."""
    differs = [
        what
        for what, new, old in (
            ("study", plan.study.decisive(), existing.study.decisive()),
            ("dataset", dict(plan.dataset), dict(existing.dataset)),
            ("weights", dict(plan.weights), dict(existing.weights)),
            ("folds", (plan.sample_ids, plan.fold_of.tolist()), (existing.sample_ids, existing.fold_of.tolist())),
        )
        if new != old
    ]
    shared = min(len(plan.trials), len(existing.trials))
    if not differs and plan.trials[:shared] != existing.trials[:shared]:
        differs = ["trials"]
    if differs:
        raise BadStudy(
            f"run {plan.run} was planned with another {' and another '.join(differs)}: give this one a new --name"
        )


def _json(fields: Mapping[str, Any]) -> bytes:
    return (json.dumps(fields, indent=2, sort_keys=True) + "\n").encode()
