"""What an objective is worth: the study `objectives` with each, over several seeds, on phantom data.

    python bench/objectives.py [--signal 0.5] [--seeds 5] [--images 1000] [--store FOLDER] [--set FIELD=VALUE ...]

Of one training, a figure moves with the initial weights and the cut of the folds about as much as objectives differ,
and an interval over patients does not show that. Here every objective is trained with the same seeds, of the weights
and of the folds, and what is compared is the mean over them. Intervals are of 95 % over patients, paired: in each
resample the same patients for every objective and seed. `spread` is the standard deviation of the difference over the
seeds.

Prints the table of docs/evaluation.md. A store that is given keeps the runs: a second call trains what is missing.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from rustk.report.data.aggregate import aggregate
from rustk.report.data.evaluated import Figure
from rustk.report.data.results import load_run
from rustk.report.evaluation.analysis import analyse
from rustk.report.evaluation.comparison import compared_figure
from rustk.store import open_store
from rustk.vocabulary.kinds import kinds

FIRST = "onehot"
FIGURES = {"auroc_in_view": "in-view AUROC", "kappa_mean": "kappa", "mae_mean": "mean absolute error"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signal", type=float, default=0.5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rustk-bench-") as temporary:
        folder = options.store or Path(temporary)
        found = trained(folder, options)
    objectives = [FIRST, *(name for name in kinds("training/objectives") if name != FIRST)]
    print(f"signal {options.signal}, {options.images} images, {options.seeds} seeds; less {FIRST} in parentheses")
    for objective in objectives:
        for key, title in FIGURES.items():
            own = [found[objective, seed][key] for seed in range(options.seeds)]
            first = [found[FIRST, seed][key] for seed in range(options.seeds)]
            said = told(float(np.mean([one.value for one in own])), np.mean([one.resampled for one in own], axis=0))
            if objective != FIRST:
                less = [one.value - other.value for one, other in zip(own, first, strict=True)]
                resampled = [one.resampled - other.resampled for one, other in zip(own, first, strict=True)]
                difference = told(float(np.mean(less)), np.mean(resampled, axis=0), "+")
                said += f" ({difference}, spread {np.std(less, ddof=1):.3f})"
            print(f"{objective:8} {title:22} {said}")


def trained(folder: Path, options: argparse.Namespace) -> dict[tuple[str, int], dict[str, Figure]]:
    """The figures of every objective and seed, trained where the store lacks them."""
    dataset = f"signal-{options.signal:g}".replace(".", "-")
    store = open_store(str(folder / "store"))
    if not store.exists(f"datasets/{dataset}/dataset.json"):
        drawn = ("--images", options.images, "--size", 160, "--signal", options.signal)
        rustk(folder, "phantom", *drawn, "--name", dataset)
        rustk(folder, "weights", "add", "efficientnet-lite0", "--from-package")
    found = {}
    for seed in range(options.seeds):
        for objective in kinds("training/objectives"):
            run = f"{objective}-{dataset}-{seed}"
            chosen = [f"model.objective={objective}", f"seed={seed}", f"folds.seed={seed}", *options.overrides]
            flags = [part for one in chosen for part in ("--set", one)]
            rustk(folder, "submit", "objectives", "--dataset", dataset, "--name", run, *flags)
            analysis = analyse(aggregate(load_run(store, run)))
            assert analysis.best is not None
            figures = {key: compared_figure(analysis.best, key) for key in FIGURES}
            found[objective, seed] = {key: figure for key, figure in figures.items() if figure is not None}
    return found


def rustk(folder: Path, *arguments: object) -> None:
    """The command, on that folder's store."""
    command = [str(Path(sys.executable).with_name("rustk")), *map(str, arguments)]
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "RUSTK_STORE": str(folder / "store")}
    )


def told(value: float, resampled: np.ndarray, sign: str = "") -> str:
    """`0.742 [0.703, 0.778]`."""
    low, high = np.nanpercentile(resampled, [2.5, 97.5])
    return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


if __name__ == "__main__":
    main()
