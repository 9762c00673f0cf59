"""What aggregating Regime I costs: 660 histories of 20 epochs, read from a directory store and averaged.

    python bench/aggregate.py [--images 415]

Makes 110 trials x 6 folds with predictions of the thesis's size in a temporary directory, then measures, each in a
process of its own and from a warm file cache:

- rustk: load_run and aggregate, seconds of wall and of CPU, and the growth of the process's peak memory;
- the alternative: pandas.read_parquet on each history in a loop, then the same means with groupby.

Drawing figures is not in it: that is the same for either. Prints both and their ratio; fails beyond 2 s or 500 MB.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

TRIALS, FOLDS, EPOCHS = 110, 6, 20
LIMIT_SECONDS = 2.0
LIMIT_BYTES = 500e6
REPEATS = 5


def make_run(store: Path, images: int) -> None:
    """Write a run of plausible numbers; `images` validate in each fold."""
    import numpy as np
    import pyarrow as pa

    from rustk.store.documents import HistoryMetadata, encode_document
    from rustk.vocabulary import names, schemas
    from rustk.vocabulary.instrument import load_instrument
    from rustk.vocabulary.parquet import encode_parquet, with_metadata

    instrument = load_instrument()
    rng = np.random.default_rng(0)
    run = "regime1-bench000"
    epochs = np.arange(1, EPOCHS + 1, dtype=np.int32)

    def write(key: str, table: pa.Table) -> None:
        path = store / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_parquet(table))

    planned = {"trials": TRIALS, "folds": FOLDS, "epochs": EPOCHS}
    described = {"schema": 1, "run": run, "study": {"name": "regime1", "title": "Regime I"}, "planned": planned}
    described["instrument"] = instrument.model_dump(mode="json")
    searched = {"batch_size": rng.integers(16, 2049, TRIALS), "dropout": rng.uniform(0, 0.5, TRIALS)}
    write(names.trials_key(run), pa.table({"trial": np.arange(TRIALS), **searched}))
    (store / names.run_study_key(run)).write_text(json.dumps(described))
    # Every fold's predictions have the same size; drawing them once saves minutes.
    probabilities = {label: rng.random(EPOCHS * images, np.float32) for label in instrument.labels}
    ids = pa.array([f"image-{number:05d}" for number in range(images)] * EPOCHS)
    predictions = {"epoch": np.repeat(epochs, images), "sample_id": ids, **probabilities}
    predicted = pa.table(predictions, schema=schemas.predictions_schema(instrument))
    for trial in range(TRIALS):
        level = rng.uniform(0.7, 0.8)
        for fold in range(FOLDS):
            rising = 0.5 + (level - 0.5) * (1 - np.exp(-0.3 * epochs)) + rng.normal(0, 0.01, EPOCHS)
            columns = dict.fromkeys((*schemas.METRICS, *schemas.VAL_METRICS), rising)
            metadata = HistoryMetadata(
                run=run,
                trial=trial,
                fold=fold,
                outcome="completed",
                hyperparameters={"learning_rate": 1e-3, "epsilon": 1e-7},
                in_effect={"batch_size": 64},
            )
            schema = with_metadata(schemas.HISTORY, encode_document(metadata))
            history = pa.table({"epoch": epochs, **columns, "seconds": rising}, schema=schema)
            write(names.history_key(run, trial, fold), history)
            write(names.prediction_key(run, trial, fold), predicted)


RUSTK = """
from rustk.store import open_store
from rustk.report.data.results import load_run
from rustk.report.data.aggregate import aggregate

def work(store):
    return float(aggregate(load_run(open_store(store), "regime1-bench000")).best["val_auroc"])
"""

PANDAS_LOOP = """
from pathlib import Path
import pandas as pd

def work(store):
    frames = []
    for path in sorted(Path(store, "runs/regime1-bench000/histories").glob("*/*.parquet")):
        frame = pd.read_parquet(path)
        frame["trial"] = int(path.parent.name.removeprefix("trial="))
        frame["fold"] = int(path.stem.removeprefix("fold="))
        frames.append(frame)
    means = pd.concat(frames).groupby(["trial", "epoch"]).mean()
    return float(means["val_auroc"].groupby("trial").max().max())
"""

MEASURE = """
import json, resource, sys, time
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
wall, cpu = [], []
for _ in range(int(sys.argv[2])):
    at, cpu_at = time.perf_counter(), time.process_time()
    best = work(sys.argv[1])
    wall.append(time.perf_counter() - at)
    cpu.append(time.process_time() - cpu_at)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"wall": wall, "cpu": cpu, "peak_bytes": peak, "grown_bytes": peak - before, "best": best}))
"""


def measure(code: str, store: Path) -> dict[str, float]:
    """First and median seconds, and memory, of `work(store)` in a fresh process. Imports are not counted."""
    command = [sys.executable, "-c", code + MEASURE, str(store), str(REPEATS)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {
        "first": found["wall"][0],
        "wall": statistics.median(found["wall"]),
        "cpu": statistics.median(found["cpu"]),
        "peak": found["peak_bytes"],
        "grown": found["grown_bytes"],
        "best": found["best"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=415, help="validation images a fold (the thesis: 415)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rustk-bench-") as folder:
        store = Path(folder)
        make_run(store, arguments.images)
        stored = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
        print(f"{TRIALS} trials x {FOLDS} folds x {EPOCHS} epochs, {stored / 1e6:.0f} MB with predictions")
        results = {"rustk": measure(RUSTK, store), "pandas.read_parquet loop": measure(PANDAS_LOOP, store)}
    print(f"{'':26}{'first':>9}{'median':>9}{'CPU':>9}{'peak':>10}{'grown':>10}")
    for name, found in results.items():
        seconds = "".join(f"{found[key]:>7.2f} s" for key in ("first", "wall", "cpu"))
        print(f"{name:26}{seconds}{found['peak'] / 1e6:>7.0f} MB{found['grown'] / 1e6:>7.0f} MB")
    ours, theirs = results.values()
    if ours["best"] != theirs["best"]:
        sys.exit(f"the two disagree: {ours['best']!r}, {theirs['best']!r}")
    print(f"rustk is {theirs['wall'] / ours['wall']:.1f} times as fast as the loop (median wall seconds)")
    print(
        f"limits: {LIMIT_SECONDS} s (first: {ours['first']:.2f}), {LIMIT_BYTES / 1e6:.0f} MB ({ours['peak'] / 1e6:.0f})"
    )
    if ours["first"] > LIMIT_SECONDS or ours["peak"] > LIMIT_BYTES:
        sys.exit("beyond the limit")


if __name__ == "__main__":
    main()
