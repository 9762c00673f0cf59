"""Runs as they lie in a store: which there are, what was planned for one, and which of its folds are done."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import rustk
from rustk.planning.batches import FoldTask
from rustk.planning.plan import Plan, check_extends
from rustk.planning.rounds import Contradiction, SearchState, is_decided_in_rounds, is_race, search_state
from rustk.planning.search.base import AdaptiveSearch, Hyperparameters
from rustk.planning.searchable import SEARCHABLE
from rustk.planning.study import RESULT_VERSION, Study, study_fields
from rustk.store.base import Store
from rustk.store.documents import (
    NamedDigest,
    NamedWeights,
    Planned,
    Round,
    RunDocument,
    StudyPart,
    Submission,
    encode_document,
    now,
    read_document,
    write_document,
)
from rustk.store.remedies import advised, damaged
from rustk.store.rounds import contradicted, read_rounds
from rustk.vocabulary import names
from rustk.vocabulary.checking import clip
from rustk.vocabulary.commit import with_commit
from rustk.vocabulary.errors import BadData, BadStudy, KeyMissing
from rustk.vocabulary.parquet import conform, encode_parquet, read_parquet
from rustk.vocabulary.schemas import FOLDS
from rustk.vocabulary.wording import counted


def check_run_name(name: str) -> None:
    """Raise BadStudy for a text that can't be a run's name in any store: empty, with slashes, dots in front..."""
    if not names.is_folder(name):
        raise BadStudy(f"{clip(name)} can't be a run: expected the name of a run or study, as `rustk runs` lists them")


def read_run(store: Store, run: str) -> RunDocument:
    """study.json of a run. Raises BadStudy for a run that is not there, BadData for one that can't be read."""
    check_run_name(run)
    try:
        return read_own(store, run)
    except KeyMissing as error:
        raise BadStudy(f"there is no run {clip(run)}: {error}; `rustk runs` lists those that are") from None


def read_own(store: Store, run: str) -> RunDocument:
    """study.json of a run. Raises KeyMissing, and BadData for that of another run, or one that contradicts itself."""
    key = names.run_study_key(run)
    document = read_document(store, key, RunDocument)
    if document.run not in (None, run):
        why = f"run = {clip(document.run)}: expected {run}, the name of the folder that it lies in"
        raise damaged(key, f"{key}: {why}")
    planned, study = document.planned, document.study
    # What others published may leave these out.
    for said, path, found in (
        (planned.folds, "folds.k", study.folds.get("k")),
        (planned.epochs, "training.epochs", study.training.get("epochs")),
    ):
        if said is not None and found not in (None, said):
            what = "folds" if path == "folds.k" else "epochs"
            why = f"planned.{what} = {said}: expected {clip(found)}, as study.{path} has it"
            raise damaged(key, f"{key}: {why}")
    return document


def planned_tasks(document: RunDocument) -> list[FoldTask]:
    """The planned (trial, fold) pairs, trial by trial."""
    planned = document.planned
    return [(trial, fold) for trial in range(planned.trials) for fold in range(planned.folds)]


@dataclass(frozen=True)
class SearchFacts:
    """What study.json says of a run's search. trials: how many a search that learns will ask for in all; else 0.

    study: None where this version of rustk does not know its kinds.
    """

    is_decided_in_rounds: bool = False
    trials: int = 0
    study: Study | None = None

    @property
    def races(self) -> bool:
        """Whether rounds may drop trials."""
        return self.study is not None and is_race(self.study)


def search_of(document: RunDocument) -> SearchFacts:
    """The search of a run, as far as this version of rustk knows its kind."""
    try:
        study = document.resolved_study("study.json")
    except BadStudy:
        return SearchFacts()
    search = study.search
    asks = search.trials if isinstance(search, AdaptiveSearch) else 0
    return SearchFacts(is_decided_in_rounds(study), trials=asks, study=study)


def load_plan(store: Store, run: str) -> Plan:
    """What was planned for a run.

    Raises KeyMissing for a run that is not there, and BadData for one that is damaged or that this version of rustk did
    not plan.
    """
    key = names.run_study_key(run)
    document = read_own(store, run)
    planned = document.planned
    try:
        if document.dataset is None or document.dataset.digest is None:
            raise BadData(f"{key} does not say on which dataset it runs")
        if document.instrument is None:
            raise BadData(f"{key} does not say by which instrument its images are scored")
        study = document.resolved_study(key)
    except (BadData, BadStudy) as error:
        raise BadData(
            f"run {run} was not planned by this version of rustk, so it can be aggregated but not continued: {error}"
        ) from None
    try:
        folds, trials = read_folds(store, run), read_trials(store, run)
    except KeyMissing as error:
        raise damaged(error.key, f"run {run} can't be continued: {error}") from None
    folds_key, trials_key = names.folds_key(run), names.trials_key(run)
    if folds.num_rows and not 0 <= pc.min(folds["fold"]).as_py() <= pc.max(folds["fold"]).as_py() < study.folds.k:
        raise damaged(folds_key, f"{folds_key}: column fold: expected 0 to {study.folds.k - 1}")
    if planned.trials > len(trials):
        raise damaged(trials_key, f"{trials_key} has {counted(len(trials), 'trial')}: expected {planned.trials}")
    return Plan(
        run=run,
        study=study,
        # More are there where an extension was interrupted.
        trials=_with_asked(store, run, study, trials[: planned.trials]),
        sample_ids=tuple(folds["sample_id"].to_pylist()),
        fold_of=folds["fold"].to_numpy(),
        dataset=document.dataset.name,
        dataset_digest=document.dataset.digest,
        instrument=document.instrument,
        weights_sha256=document.weights.sha256 if document.weights else None,
        taken_from=document.taken_from,
    )


def _with_asked(
    store: Store, run: str, study: Study, trials: tuple[Hyperparameters, ...]
) -> tuple[Hyperparameters, ...]:
    """The trials with those that a search asked for since, which study.json may be an instant behind with."""
    if not isinstance(study.search, AdaptiveSearch):
        return trials
    return follow_rounds(run, study, trials, read_rounds(store, run)).trials


def follow_rounds(
    run: str, study: Study, trials: tuple[Hyperparameters, ...], rounds: tuple[Round, ...]
) -> SearchState:
    """Where a run's search stands. Raises RoundContradicted for a round that does not follow from what is before it."""
    try:
        return search_state(study, trials, rounds)
    except Contradiction as error:
        raise contradicted(run, error.number, str(error)) from None


def publish_plan(store: Store, plan: Plan) -> Plan:
    """Write a plan's files, or find them written; the plan that the run now has.

    A run that has more random trials than `plan` keeps them. Raises BadStudy where the run was planned otherwise.
    """
    planned_at = now()
    existing = planned_before(store, plan)
    if existing is not None:
        if len(existing.trials) >= len(plan.trials):
            return existing
        planned_at = read_document(store, names.run_study_key(plan.run), RunDocument).planned_at or planned_at
    folds = pa.table({"sample_id": list(plan.sample_ids), "fold": plan.fold_of}, schema=FOLDS)
    store.write(names.folds_key(plan.run), encode_parquet(folds))
    store.write(names.trials_key(plan.run), encode_parquet(trials_table(plan.trials)))
    # Last, since its presence means that the others are there.
    store.write(names.run_study_key(plan.run), encode_document(describe_plan(plan, planned_at)))
    return plan


def planned_before(store: Store, plan: Plan) -> Plan | None:
    """What was planned under a plan's name before; None for a new run. Raises BadStudy where it is something else."""
    try:
        existing = load_plan(store, plan.run)
    except KeyMissing:
        return None
    check_extends(plan, existing)
    return existing


def grow_trials(store: Store, plan: Plan) -> bool:
    """Add the trials that a search has asked for since the run was planned; whether anything was written.

    What is written follows from the plan alone, so that any number of processes may do it. Only trials that the files
    lack are added: who knows of fewer changes nothing.
    """
    key = names.run_study_key(plan.run)
    document = read_document(store, key, RunDocument)
    count = len(plan.trials)
    if document.planned.trials > count:
        return False
    there = read_trials(store, plan.run)
    if there[:count] == plan.trials and document.planned.trials == count:
        return False
    if there[:count] != plan.trials:
        store.write(names.trials_key(plan.run), encode_parquet(trials_table(plan.trials)))
    planned = document.planned.model_copy(update={"trials": count})
    store.write(key, encode_document(document.model_copy(update={"planned": planned})))
    return True


def describe_plan(plan: Plan, planned_at: datetime | None = None) -> RunDocument:
    """study.json of a plan."""
    return RunDocument(
        run=plan.run,
        study=StudyPart.model_validate(study_fields(plan.study)),
        dataset=NamedDigest(name=plan.dataset, digest=plan.dataset_digest),
        weights=NamedWeights(name=plan.study.model.weights, sha256=plan.weights_sha256),
        instrument=plan.instrument,
        planned=Planned(trials=len(plan.trials), folds=plan.study.folds.k, epochs=plan.study.training.epochs),
        planned_at=planned_at,
        versions={**with_commit({"rustk": rustk.__version__}), "result": RESULT_VERSION},
        taken_from=dict(plan.taken_from) if plan.taken_from else None,
    )


def trials_table(trials: tuple[Hyperparameters, ...]) -> pa.Table:
    """trials.parquet: the trial's number, then a column for each hyperparameter that the search varies."""
    columns = {name: pa.array([trial[name] for trial in trials], _column_type(name)) for name in trials[0]}
    return pa.table({"trial": pa.array(range(len(trials)), pa.int64()), **columns})


def _column_type(name: str) -> pa.DataType:
    """Of a hyperparameter's values; of one that there is none of, a number's."""
    if name not in SEARCHABLE:
        return pa.float64()
    field = SEARCHABLE[name]
    types = {int: pa.int64(), float: pa.float64(), bool: pa.bool_(), str: pa.string()}
    return pa.string() if field.is_list else types[field.type]


def read_trials(store: Store, run: str) -> tuple[Hyperparameters, ...]:
    """The trials of a run that rustk planned: the inverse of `trials_table`. Raises KeyMissing or BadData."""
    key = names.trials_key(run)
    with advised(key):
        return _trials_in(read_parquet(store.read(key), key), key)


def _trials_in(found: pa.Table, key: str) -> tuple[Hyperparameters, ...]:
    fields = [
        pa.field(name, pa.int64() if name == "trial" else _column_type(name), nullable=False)
        for name in found.schema.names
    ]
    if "trial" not in found.schema.names:
        fields.append(pa.field("trial", pa.int64(), nullable=False))  # for the message that it is missing
    rows = conform(found, pa.schema(fields), key).sort_by("trial").to_pylist()
    if [row.pop("trial") for row in rows] != list(range(len(rows))):
        raise BadData(f"{key}: column trial: expected the numbers 0 to {len(rows) - 1}, each once")
    return tuple(rows)


def read_folds(store: Store, run: str) -> pa.Table:
    """folds.parquet of a run, columns sample_id and fold. Raises KeyMissing or BadData."""
    key = names.folds_key(run)
    with advised(key):
        return conform(read_parquet(store.read(key), key), FOLDS, key)


def done_tasks(store: Store, run: str) -> set[FoldTask]:
    """The (trial, fold) pairs whose history is in place."""
    return set(fold_times(store, names.histories_prefix(run)))


def failed_tasks(store: Store, run: str) -> set[FoldTask]:
    """The (trial, fold) pairs whose worker left word that it gave up."""
    return set(fold_times(store, names.failures_prefix(run)))


def fold_times(store: Store, prefix: str) -> dict[FoldTask, datetime]:
    """When the file of each (trial, fold) below `prefix` came into the store."""
    parsed = ((names.parse_fold_key(entry.key), entry.modified) for entry in store.list(prefix))
    return {task: modified for task, modified in parsed if task is not None}


def record_submission(
    store: Store, run: str, *, backend: str, folds: int, details: Mapping[str, Any] | None = None
) -> None:
    """Note that the run was submitted: when, by which rustk, to which backend, and the backend's own `details`."""
    at = datetime.now(UTC)
    document = Submission(
        submitted_at=at, rustk=rustk.__version__, backend=backend, folds=folds, details=dict(details or {})
    )
    write_document(store, names.submission_key(run, at.strftime("%Y%m%dT%H%M%S%fZ")), document)


def first_submitted(store: Store, run: str) -> datetime | None:
    """When a run was first submitted, or else planned, as its files say; None where they don't."""
    for entry in store.list(names.submissions_prefix(run)):
        return read_document(store, entry.key, Submission).submitted_at
    return read_run(store, run).planned_at
