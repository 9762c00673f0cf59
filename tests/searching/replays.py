"""Runs whose folds are not trained: their curves are made up, and put into a store as they are asked for."""

import numpy as np
import pyarrow as pa

from rustk.planning.batches import FoldTask
from rustk.planning.plan import Plan
from rustk.searching.run_search import Next, RunSearch
from rustk.store.base import Store
from rustk.store.documents import encode_document
from rustk.store.rounds import read_rounds
from rustk.store.runs import publish_plan
from rustk.vocabulary import names
from rustk.vocabulary.parquet import encode_parquet
from tests.planning.plans import plan_of, study_of


def raced_plan(race: str, *, trials: int, folds: int, seed: int = 0, name: str = "raced") -> Plan:
    """A grid of so many trials, raced by `race` (YAML)."""
    rates = ", ".join(f"{number + 1}.0e-4" for number in range(trials))
    return plan_of(
        study_of(
            f"""
            name: raced
            seed: {seed}
            model: {{weights: random}}
            training: {{epochs: 4}}
            folds: {{k: {folds}}}
            search: {{kind: grid, race: {race}, parameters: {{training.learning_rate: [{rates}]}}}}
            """
        ),
        images=12 * folds,
        name=name,
    )


def made_up(trials: int, folds: int, *, epochs: int = 4, seed: int = 0, noise: float = 0.01) -> np.ndarray:
    """Curves [trials, folds, epochs]: trials differ, folds differ, and noise is added."""
    rng = np.random.default_rng(seed)
    levels = np.linspace(0.6, 0.8, trials)[rng.permutation(trials)]
    curves = levels[:, None, None] + rng.normal(0, 0.03, folds)[None, :, None]
    curves = curves + np.linspace(-0.05, 0, epochs) + rng.normal(0, noise, (trials, folds, epochs))
    return np.clip(curves, 0, 1)


def put_history(store: Store, run: str, task: FoldTask, curve: np.ndarray) -> None:
    """Leave a history: the epochs at which the curve has a value."""
    epochs = np.flatnonzero(np.isfinite(curve)) + 1
    table = pa.table({"epoch": pa.array(epochs, pa.int32()), "val_auroc": curve[epochs - 1]})
    store.write(names.history_key(run, *task), encode_parquet(table))


def rounds_of(store: Store, run: str) -> dict[str, bytes]:
    """The rounds' files, but for when and by what they were decided."""
    return {
        f"{one.number}": encode_document(one.model_copy(update={"decided_at": None, "versions": {}}))
        for one in read_rounds(store, run)
    }


def run_through(store: Store, plan: Plan, curves: np.ndarray, rng: np.random.Generator, *, crash: float = 0.3) -> Next:
    """Train what is asked for, some folds at a time in any order; whoever decides may be another one each time."""
    publish_plan(store, plan)
    search = RunSearch(store, plan)
    while (now := search.next()).tasks:
        for at in rng.permutation(len(now.tasks))[: rng.integers(1, len(now.tasks) + 1)]:
            trial, fold = now.tasks[at]
            put_history(store, plan.run, (trial, fold), curves[trial, fold])
        if rng.random() < crash:
            search = RunSearch(store, plan)
    return now
