"""What `rustk aggregate` costs: as a user waits for it, and the reading and averaging in it.

    python bench/aggregate.py [--images 415]

First the command, from start to exit, on three runs made in a temporary directory: a search of 110 trials x 6 folds x
20 epochs without predictions, one of 32 x 6 x 20 with them, and a single trial. The goals, on two quiet cores, are 3 s,
3 s and 1.5 s; the load is printed. Beside it, what importing pandas and matplotlib's printing alone takes a process.

Then the reading and averaging of 110 trials x 6 folds with predictions of the thesis's size, each in a process of its
own and from a warm file cache:

- rustk: load_run and aggregate, seconds of wall and of CPU, and the growth of the process's peak memory;
- the alternative: pandas.read_parquet on each history in a loop, then the same means with groupby.

Drawing figures is not in that: it is the same for either. Prints both and their ratio; fails beyond 2 s or 500 MB.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the planted runs of the tests

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


def make_commands_runs(store: Path) -> list[str]:
    """Runs for the command: a search without predictions, one with, a single trial; their names."""
    import shutil

    from tests.report import planted

    make_run(store, 1)
    shutil.rmtree(store / "runs" / "regime1-bench000" / "predictions")
    grid = [
        {"learning_rate": 10.0**-rate, "epsilon": 10.0**-epsilon} for rate in range(1, 5) for epsilon in range(1, 9)
    ]
    shapes: dict[str, tuple[dict[str, float], ...]] = {"demo-bench000": tuple(grid), "single-bench000": ({},)}
    for run, trials in shapes.items():
        plan = planted.Plan(run=run, study=run[:-9], patients=130, folds=6, epochs=EPOCHS, trials=trials)
        for key, data in planted.plant(plan).objects.items():
            path = store / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return ["regime1-bench000", *shapes]


IMPORTS = "import pandas, matplotlib.backends.backend_pdf, matplotlib.backends.backend_svg, matplotlib.figure"


def time_command(command: list[str]) -> tuple[float, float]:
    """(wall seconds, CPU seconds with its children's) of a command, medians of three."""
    walls, cpus = [], []
    for _ in range(3):
        before, at = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        walls.append(time.perf_counter() - at)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(walls), statistics.median(cpus)


def bench_commands() -> None:
    """Time `rustk aggregate` on each run, and the imports alone."""
    with tempfile.TemporaryDirectory(prefix="rustk-bench-") as folder:
        runs = make_commands_runs(Path(folder))
        base, base_cpu = time_command([sys.executable, "-c", IMPORTS])
        print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        print(f"importing pandas and matplotlib alone: {base:.1f} s, {base_cpu:.1f} s of CPU")
        for run in runs:
            wall, cpu = time_command([sys.executable, "-m", "rustk", "aggregate", run, "--store", folder])
            print(f"rustk aggregate {run:18} {wall:.1f} s, {cpu:.1f} s of CPU, {wall / base:.1f} times the imports")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=415, help="validation images a fold (the thesis: 415)")
    arguments = parser.parse_args()
    bench_commands()
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
