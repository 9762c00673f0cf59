"""What a search that learns is worth: the best trial of tpe, sobol and random at equal cost, over 20 seeds.

python bench/search.py [PATH] [--trials 40] [--seeds 20]

PATH: a folder with the trials.parquet and histories.parquet of a published search (columns trial, fold, epoch and
val_auroc). Its mean val_auroc over folds, at the best epoch, is interpolated over its hyperparameters, and each search
looks for the greatest value within its ranges. Without PATH, the surface is a ridge over learning rate, batch size,
dropout and pooling, as such searches have. Searches are asked as a study asks them, and told as a run tells them.
"""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.interpolate import RBFInterpolator

from rustk.planning.search.base import AdaptiveSearch, Hyperparameters, Told
from rustk.planning.searchable import SEARCHABLE
from rustk.planning.study import Study, study_from_fields

KINDS = ("random", "sobol", "tpe")
_DECADES = 100  # a positive range whose ends are so many times apart is searched by its logarithm

Surface = Callable[[Hyperparameters], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", type=Path)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    parameters, surface, told = ridge() if options.path is None else published(options.path)
    print(f"{told}; {options.trials} trials, {options.seeds} seeds")
    best = {}
    for kind in KINDS:
        reached = [
            best_so_far(study_of(kind, parameters, options.trials, seed), surface) for seed in range(options.seeds)
        ]
        best[kind] = np.array(reached)  # [seeds, trials]
    marks = sorted({min(count, options.trials) for count in (16, 24, 32, options.trials)})
    print("best of the first", *(f"{mark:>10}" for mark in marks))
    for kind in KINDS:
        print(f"{kind:<17}", *(f"{best[kind][:, mark - 1].mean():10.5f}" for mark in marks))
    for kind in KINDS[1:]:
        print(f"{kind} - random: {paired(best[kind][:, -1] - best['random'][:, -1])}")


def study_of(kind: str, parameters: dict[str, Any], trials: int, seed: int) -> Study:
    search = {"kind": kind, "trials": trials, "parameters": parameters}
    return study_from_fields({"name": "bench", "seed": seed, "search": search}, "bench")


def best_so_far(study: Study, surface: Surface) -> np.ndarray:
    """The greatest figure among the first 1, 2, 3... trials of a search."""
    search = study.search
    told = [Told(trial, surface(trial)) for trial in study.trials()]
    while isinstance(search, AdaptiveSearch) and len(told) < search.trials:
        count = min(search.batch, search.trials - len(told))
        told += [Told(trial, surface(trial)) for trial in search.ask(study.seed, tuple(told), len(told), count)]
    return np.maximum.accumulate(np.array([one.figure for one in told], float))


def published(path: Path) -> tuple[dict[str, Any], Surface, str]:
    """The ranges of a published search, and its figure of merit between its trials."""
    trials = pd.read_parquet(path / "trials.parquet").set_index("trial")
    histories = pd.read_parquet(path / "histories.parquet", columns=["trial", "fold", "epoch", "val_auroc"])
    figures = histories.groupby(["trial", "epoch"])["val_auroc"].mean().groupby("trial").max().reindex(trials.index)
    searched = [name for name in trials.columns if trials[name].nunique() > 1]
    if unknown := [name for name in searched if name not in SEARCHABLE or not SEARCHABLE[name].takes_range]:
        raise SystemExit(f"{path}: {', '.join(unknown)}: expected hyperparameters that are numbers")
    logs = {name: is_logarithmic(trials[name]) for name in searched}
    parameters = {
        SEARCHABLE[name].path: {
            "low": float(trials[name].min()),
            "high": float(trials[name].max()),
            "type": SEARCHABLE[name].type.__name__,
            "log": logs[name],
        }
        for name in searched
    }

    def place(rows: Iterable[Any]) -> np.ndarray:
        """[rows, hyperparameters] in units of each one's range."""
        columns = []
        for name in searched:
            scale = np.log if logs[name] else np.asarray
            low, high = scale(trials[name].min()), scale(trials[name].max())
            columns.append((scale(np.array([row[name] for row in rows], float)) - low) / (high - low))
        return np.stack(columns, axis=1)

    interpolated = RBFInterpolator(place(trials.to_dict("records")), figures.to_numpy(), kernel="linear")
    told = f"{path}: {len(trials)} trials over {', '.join(searched)}, the best of its own {figures.max():.5f}"
    return parameters, lambda trial: float(interpolated(place([trial]))[0]), told


def is_logarithmic(values: pd.Series) -> bool:
    return bool(values.min() > 0 and values.max() / values.min() >= _DECADES)


def ridge() -> tuple[dict[str, Any], Surface, str]:
    """Learning rate and batch size trade off along a ridge; dropout has a flat optimum, one pooling is better."""
    parameters = {
        "training.learning_rate": {"low": 1e-5, "high": 1e-1, "log": True},
        "training.batch_size": {"low": 16, "high": 2048, "type": "int", "log": True},
        "model.dropout": {"low": 0.0, "high": 0.7},
        "model.pooling": {"values": ["max", "flatten"]},
    }

    def surface(trial: Hyperparameters) -> float:
        rate, size = np.log10(float(trial["learning_rate"])), np.log2(float(trial["batch_size"]))
        off_ridge, along = rate + 3 - 0.2 * (size - 7), size - 8
        lost = 0.03 * off_ridge**2 + 0.002 * along**2 + 0.1 * (float(trial["dropout"]) - 0.3) ** 2
        return float(0.5 + 0.3 * np.exp(-lost / 0.3) - 0.01 * (trial["pooling"] == "flatten"))

    return parameters, surface, "a ridge, the best 0.80000"


def paired(differences: np.ndarray) -> str:
    """Mean and 95 % interval (Student's t) of a difference between searches of the same seed, and how many gain."""
    mean, error = differences.mean(), stats.sem(differences)
    half = stats.t.ppf(0.975, len(differences) - 1) * error
    gained = f"better for {(differences > 0).sum()} of {len(differences)}"
    return f"{mean:+.5f} [{mean - half:+.5f}, {mean + half:+.5f}], {gained}"


if __name__ == "__main__":
    main()
