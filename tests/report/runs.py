"""Runs as others write them: with pandas and json alone, nothing of rustk."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

METRICS = ("loss", "auroc", "precision", "recall", "f1")
GOLDEN = Path("..", "shared", "golden", "regime2")

# val_auroc by trial, fold and epoch. Means over the two folds: trial 0: .5 .625 .625; 1: .75 .5 .75; 2: .5 .75 .5.
TINY_VAL_AUROC = {
    (0, 0): [0.5, 0.5, 0.75],
    (0, 1): [0.5, 0.75, 0.5],
    (1, 0): [0.75, 0.5, 1.0],
    (1, 1): [0.75, 0.5, 0.5],
    (2, 0): [0.25, 0.75, 0.25],
    (2, 1): [0.75, 0.75, 0.75],
}
TINY_TRIALS = pd.DataFrame({"trial": [0, 1, 2], "learning_rate": [1e-1, 1e-2, 1e-3], "epsilon": [1e-7, 1e-7, 1e-8]})


def history(val_auroc: list[float], **columns: Any) -> pd.DataFrame:
    """A fold's history with this val_auroc; the other metrics follow from it, or are given."""
    values = np.array(val_auroc, dtype=np.float64)
    frame = pd.DataFrame({"epoch": np.arange(1, len(values) + 1)})
    for name in METRICS:
        frame[name] = 1.5 - values if name == "loss" else values / 2
    for name in METRICS:
        frame[f"val_{name}"] = 2 - values if name == "loss" else values / 4
    return frame.assign(val_auroc=values, **columns)


def write_run(
    store: Path,
    run: str,
    trials: pd.DataFrame,
    histories: dict[tuple[int, int], pd.DataFrame],
    *,
    folds: int,
    study: dict[str, Any] | None = None,
    **fields: Any,
) -> Path:
    """Lay a run out below `store`; the folder it lies in."""
    folder = store / "runs" / run
    folder.mkdir(parents=True)
    epochs = max((len(frame) for frame in histories.values() if len(frame)), default=3)
    planned = {"trials": len(trials), "folds": folds, "epochs": epochs}
    described = {"schema": 1, "run": run, "study": study or {"name": "tiny"}, "planned": planned, **fields}
    (folder / "study.json").write_text(json.dumps(described))
    trials.to_parquet(folder / "trials.parquet", index=False)
    for (trial, fold), frame in histories.items():
        path = history_path(folder, trial, fold)
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(path, index=False)
    return folder


def history_path(folder: Path, trial: int, fold: int) -> Path:
    return folder / f"histories/trial={trial:04d}/fold={fold}.parquet"


def write_tiny(store: Path, run: str = "tiny-00000001", *, without: tuple[tuple[int, int], ...] = ()) -> Path:
    """The run of TINY_VAL_AUROC, but for the folds it is to be without."""
    histories = {task: history(values) for task, values in TINY_VAL_AUROC.items() if task not in without}
    return write_run(store, run, TINY_TRIALS, histories, folds=2, study={"name": "tiny", "title": "Tiny & small_study"})


def write_golden(store: Path, repository: Path) -> str:
    """The thesis's published Regime II search as a run; skips where its histories are not at hand."""
    folder = repository / GOLDEN
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    histories = pd.read_parquet(folder / "histories.parquet")
    by_fold = {task: rows.drop(columns=["trial", "fold"]) for task, rows in histories.groupby(["trial", "fold"])}
    study = {"name": "regime2", "title": "Regime II"}
    write_run(store, "published", pd.read_parquet(folder / "trials.parquet"), by_fold, folds=6, study=study)
    return "published"


def write_shaped(
    store: Path, run: str, trials: pd.DataFrame, *, folds: int, epochs: int, study: dict[str, Any], seed: int = 0
) -> Path:
    """A run of any shape, with plausible curves drawn from a seed."""
    rng = np.random.default_rng(seed)
    rising = 1 - np.exp(-0.35 * np.arange(1, epochs + 1))
    histories = {}
    for trial in trials["trial"]:
        level = rng.uniform(0.05, 0.32)
        for fold in range(folds):
            histories[int(trial), fold] = history(
                list(0.5 + level * rising + rng.normal(0, 0.01, epochs)),
                auroc=0.5 + (level + 0.05) * rising,
                loss=0.3 + 0.4 * np.exp(-0.3 * np.arange(epochs)),
                val_loss=0.35 + 0.3 * np.exp(-0.3 * np.arange(epochs)) + rng.normal(0, 0.01, epochs),
            )
    return write_run(store, run, trials, histories, folds=folds, study=study)
