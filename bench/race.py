"""Races on published runs: how many folds each rule trains, and what it loses against the full search.

    python bench/race.py PATH             # PATH: a folder with trials.parquet and histories.parquet, or a run's folder
    python bench/race.py PATH --seeds 30  # in a directory that is a store: <store>/runs/<run>

The shipped rules go through rustk's own code: a store to which histories are added as they are asked for, in an order
that differs from seed to seed. `bootstrap` reads predictions, and is left out where the run has none. The others are
computed here, over `--orders` random orders of trials and folds. Regret is what the chosen trial's figure of merit
loses against the best one's of the full search.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from rustk.planning.batches import FoldTask
from rustk.planning.plan import Plan
from rustk.planning.races.base import merit
from rustk.planning.study import study_from_fields
from rustk.searching.run_search import RunSearch
from rustk.store import Store, open_store
from rustk.store.runs import load_plan
from rustk.vocabulary import names
from rustk.vocabulary.instrument import load_instrument
from rustk.vocabulary.parquet import encode_parquet, read_parquet

RULES: dict[str, dict[str, object]] = {
    "rounds, halving, at least 8": {"kind": "halving"},
    "rounds, thirds, at least 4": {"kind": "halving", "keep": 1 / 3, "least": 4},
    "rounds, bootstrap, 0.99": {"kind": "bootstrap"},
}
# The best are twins, to rounding: either is found.
EQUAL = 1e-9

Curves = NDArray[np.float64]  # [trials, folds, epochs]
Chosen = tuple[int, int]  # (trial chosen, folds trained)


@dataclass(frozen=True)
class Published:
    """A run that is replayed: its curves, the bytes of its files by their path below the run, and its plan."""

    plan: Plan
    curves: Curves
    files: dict[str, bytes]  # histories/trial=0001/fold=2.parquet, and predictions/... where there are some
    beside: dict[str, bytes]  # of the dataset

    @property
    def merits(self) -> NDArray[np.float64]:
        return np.array([np.nan if (value := merit(own)) is None else value for own in self.curves])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--seeds", type=int, default=10, help="of the rules that rustk ships")
    parser.add_argument("--orders", type=int, default=300, help="of the rules that are computed here")
    options = parser.parse_args()
    published = read_run(options.path) if (options.path / "study.json").exists() else read_tables(options.path)
    trials, folds, epochs = published.curves.shape
    print(f"{options.path}: {trials} trials x {folds} folds x {epochs} epochs; best {np.nanmax(published.merits):.6f}")
    print(f"{'rule':<44} {'folds trained':>13} {'best found':>10} {'worst regret':>12} {'runs':>5}")
    baselines: dict[str, Callable[[Curves, np.random.Generator], Chosen]] = {
        "every fold of every trial": lambda curves, rng: (best_of(published.merits), curves.shape[0] * curves.shape[1]),
        "one after another, aggressive": lambda curves, rng: one_after_another(curves, rng, aggressive),
        "one after another, forgiving": lambda curves, rng: one_after_another(curves, rng, forgiving),
        "one after another, Wilcoxon, p = 0.1": lambda curves, rng: one_after_another(curves, rng, worse_by_wilcoxon),
    }
    for name, rule in baselines.items():
        runs = [rule(published.curves, np.random.default_rng(seed)) for seed in range(options.orders)]
        show(name, published, runs)
    for name, race in RULES.items():
        if race["kind"] == "bootstrap" and not any(path.startswith("predictions/") for path in published.files):
            print(f"{name:<44} the run has no predictions")
            continue
        show(name, published, [replay(published, race, seed) for seed in range(options.seeds)])


def show(name: str, published: Published, runs: list[Chosen]) -> None:
    """One line of the table."""
    merits = published.merits
    regrets = np.array([np.nanmax(merits) - merits[chosen] for chosen, _ in runs])
    trained = np.mean([folds for _, folds in runs]) / (merits.size * published.curves.shape[1])
    found = np.mean(regrets <= EQUAL)
    print(f"{name:<44} {trained:>13.1%} {found:>10.0%} {regrets.max():>12.6f} {len(runs):>5}")


def replay(published: Published, race: dict[str, object], seed: int) -> Chosen:
    """A race by rustk itself: what may be trained by now is given a history, in any order, until nothing is left."""
    fields = published.plan.study.model_dump(mode="json")
    fields["search"]["race"], fields["seed"] = race, seed
    plan = replace(published.plan, study=study_from_fields(fields, "bench"))
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as directory:
        store = open_store(directory)
        for key, data in published.beside.items():
            store.write(key, data)
        search = RunSearch(store, plan)
        while (now := search.next()).tasks:
            for at in rng.permutation(len(now.tasks))[: rng.integers(1, len(now.tasks) + 1)]:
                _train(store, published, now.tasks[at])
        done = now.done
    folds = published.curves.shape[1]
    whole = [t for t in range(len(published.curves)) if all((t, fold) in done for fold in range(folds))]
    return whole[best_of(published.merits[whole])], len(done)


def _train(store: Store, published: Published, task: FoldTask) -> None:
    for what in ("predictions", "histories"):
        path = f"{what}/{names.fold_path(*task)}.parquet"
        if path in published.files:
            store.write(f"{names.run_prefix(published.plan.run)}{path}", published.files[path])


def one_after_another(curves: Curves, rng: np.random.Generator, loses: Callable[[Curves, Curves], bool]) -> Chosen:
    """Trials in a random order, each stopped at the fold at which it `loses` to the best whole one so far."""
    folds = rng.permutation(curves.shape[1])
    incumbent: int | None = None
    trained = 0
    for trial in rng.permutation(len(curves)):
        for seen in range(1, len(folds) + 1):
            trained += 1
            if incumbent is not None and loses(curves[trial, folds[:seen]], curves[incumbent, folds]):
                break
        else:
            own, best = merit(curves[trial]), merit(curves[incumbent]) if incumbent is not None else None
            if best is None or (own is not None and own > best):
                incumbent = int(trial)
    assert incumbent is not None  # the first is never stopped
    return incumbent, trained


def aggressive(own: Curves, best: Curves) -> bool:
    """Bergman, Purucker & Hutter (AutoML 2024): worse on the folds so far than the best's mean over all of its own."""
    return _figure(own) < _figure(best)


def forgiving(own: Curves, best: Curves) -> bool:
    """Bergman, Purucker & Hutter (AutoML 2024): worse on the folds so far than the best's worst fold."""
    return _figure(own) < _per_fold(best).min()


def worse_by_wilcoxon(own: Curves, best: Curves) -> bool:
    """Optuna's WilcoxonPruner with p = 0.1: a signed-rank test over the folds that both have, and a worse mean."""
    differences = _per_fold(own) - _per_fold(best)[: len(own)]
    if len(own) < 2 or differences.mean() >= 0 or not differences.any():
        return False
    return bool(wilcoxon(differences, alternative="less", zero_method="zsplit").pvalue < 0.1)


def _figure(curves: Curves) -> float:
    value = merit(curves)
    return -np.inf if value is None else value


def _per_fold(curves: Curves) -> NDArray[np.float64]:
    return np.array([_figure(curve[None]) for curve in curves])


def best_of(merits: NDArray[np.float64]) -> int:
    return int(np.nanargmax(merits))


def read_tables(path: Path) -> Published:
    """A run published as two tables: trials.parquet, and all histories in one, with columns trial, fold and epoch."""
    hyperparameters = read_parquet((path / "trials.parquet").read_bytes(), "trials.parquet").to_pylist()
    histories = read_parquet((path / "histories.parquet").read_bytes(), "histories.parquet").to_pandas()
    files = {}
    for (trial, fold), rows in histories.groupby(["trial", "fold"]):
        table = pa.Table.from_pandas(rows[["epoch", "val_auroc"]], preserve_index=False)
        files[f"histories/{names.fold_path(trial, fold)}.parquet"] = encode_parquet(table)
    folds = int(histories["fold"].max()) + 1
    trials = tuple({name: value for name, value in row.items() if name != "trial"} for row in hyperparameters)
    fields = {
        "name": "published",
        "folds": {"k": folds},
        "search": {"kind": "grid", "parameters": {"training.epsilon": [1e-7]}},  # the trials are the table's
    }
    plan = Plan(
        run="published",
        study=study_from_fields(fields, str(path)),
        trials=trials,
        sample_ids=(),
        fold_of=np.zeros(0, dtype=np.intp),
        dataset="none",
        dataset_digest="0" * 64,
        instrument=load_instrument("mrust"),
        weights_sha256=None,
    )
    return Published(plan, _curves(files, len(trials), folds), files, {})


def read_run(path: Path) -> Published:
    """A run of rustk's own in a directory that is a store."""
    store, run = open_store(str(path.parent.parent)), path.name
    plan = load_plan(store, run)
    files = dict(_files(store, run))
    beside = {
        key: store.read(key)
        for key in (names.dataset_key(plan.dataset), names.dataset_index_key(plan.dataset))
        if store.exists(key)
    }
    return Published(plan, _curves(files, len(plan.trials), plan.study.folds.k), files, beside)


def _files(store: Store, run: str) -> Iterator[tuple[str, bytes]]:
    for prefix in (names.histories_prefix(run), names.predictions_prefix(run)):
        for entry in store.list(prefix):
            yield entry.key.removeprefix(names.run_prefix(run)), store.read(entry.key)


def _curves(files: dict[str, bytes], trials: int, folds: int) -> Curves:
    rows = {
        path: read_parquet(data, path).select(["epoch", "val_auroc"]).to_pandas()
        for path, data in files.items()
        if path.startswith("histories/")
    }
    curves = np.full((trials, folds, max(int(table["epoch"].max()) for table in rows.values())), np.nan)
    for path, table in rows.items():
        task = names.parse_fold_path(path.removeprefix("histories/").removesuffix(".parquet"))
        if task is None:
            raise SystemExit(f"{path}: not the name of a fold's history")
        curves[*task, table["epoch"].to_numpy() - 1] = table["val_auroc"].to_numpy()
    if np.isnan(curves).all(axis=2).any():
        raise SystemExit("some folds have no history: a replay needs all of them")
    return curves


if __name__ == "__main__":
    main()
