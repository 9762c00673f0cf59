"""Whether histories are those of a run: what their own metadata say, laid beside the plan."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from rustk.planning.batches import FoldTask
from rustk.planning.searchable import SEARCHABLE
from rustk.report.data.histories import History
from rustk.report.data.numbers import is_absent
from rustk.store.documents import RunDocument
from rustk.store.remedies import damaged
from rustk.vocabulary.checking import clip
from rustk.vocabulary.wording import counted


def check_own(
    keys: Mapping[FoldTask, str], histories: Mapping[FoldTask, History], study: RunDocument, trials: pd.DataFrame
) -> None:
    """Raise BadData for a history that can't be one of this run's, by what the plan and its own metadata say.

    keys, histories: by (trial, fold). trials: a row each, as read from trials.parquet.
    """
    epochs = study.planned.epochs
    seed = (study.study.model_extra or {}).get("seed")
    asked = {int(row["trial"]): asked_of(study, row) for row in trials.to_dict(orient="records")}
    digests = {
        "dataset": study.dataset.digest if study.dataset else None,
        "weights": study.weights.sha256 if study.weights else None,
    }
    for task, history in histories.items():
        key, said, found = keys[task], history.metadata, history.rows.num_rows
        if said.outcome == "completed" and found < (epochs or 1):
            expected = f"expected {epochs or 'at least 1'}, for its metadata has outcome completed"
            raise damaged(key, f"{key}: has {counted(found, 'epoch')}: {expected}")
        if found > (epochs or found):
            why = f"has {counted(found, 'epoch')}: expected at most {epochs}, as study.json plans them"
            raise damaged(key, f"{key}: {why}")
        if said.outcome == "completed" and said.diverged_epoch is not None:
            why = f"has diverged_epoch {said.diverged_epoch} beside outcome completed: expected one of the two"
            raise damaged(key, f"{key}: its metadata {why}")
        if epochs is not None and (said.diverged_epoch or 0) > epochs:
            why = f"has diverged_epoch {said.diverged_epoch}: expected at most {epochs}, the epochs that were planned"
            raise damaged(key, f"{key}: its metadata {why}")
        for name, planned in digests.items():
            trained_with = said.digests.get(name)
            if None not in (trained_with, planned) and trained_with != planned:
                why = f"has digests.{name} {clip(trained_with)}: expected {planned}, the {name} of its run"
                raise damaged(key, f"{key}: its metadata {why}")
        if None not in (seed, said.seeds.get("study")) and said.seeds["study"] != seed:
            raise damaged(
                key, f"{key}: its metadata has seeds.study {said.seeds['study']}: expected {seed}, the study's"
            )
        for name, value in said.hyperparameters.items():
            if name in asked[task[0]] and not _same(value, asked[task[0]][name]):
                why = f"has hyperparameters.{name} {clip(value)}: expected {clip(asked[task[0]][name])}"
                raise damaged(key, f"{key}: its metadata {why}, as study.json and trials.parquet have it")


def asked_of(study: RunDocument, row: Mapping[str, Any]) -> dict[str, Any]:
    """What a trial was to be trained with, by short name: its row of trials.parquet over the study's fields."""
    fixed = {**study.study.training, **study.study.model}
    encoded = {name: field.encode(fixed[name]) for name, field in SEARCHABLE.items() if field.takes(fixed.get(name))}
    epochs = {"epochs": fixed["epochs"]} if "epochs" in fixed else {}
    return {**encoded, **epochs, **{name: value for name, value in row.items() if not is_absent(value)}}


def _same(value: Any, asked: Any) -> bool:
    if isinstance(value, float) and isinstance(asked, float):
        return math.isclose(value, asked, rel_tol=1e-12)
    return bool(value == asked)
