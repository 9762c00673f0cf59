"""What a fold's process takes from its start to its first training step, against importing TensorFlow alone.

    python bench/start.py [--folds 4]

Each fold is a process of its own, as in a Job's container, one after the other, its features in the cache. What a
container takes on top (pulling the image, the sandbox) is the cluster's.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rustk.planning.plan import make_plan
from rustk.planning.resolving import resolve_study
from rustk.store import Store, open_store
from rustk.store.datasets import read_dataset, read_index
from rustk.store.documents import HistoryMetadata, parse_document
from rustk.store.runs import publish_plan
from rustk.vocabulary import names
from rustk.vocabulary.parquet import read_metadata_bytes, read_parquet

STUDY = """
name: start
model: {weights: calibrated-random, head: [1024, 512, 256], dropout: 0.2}
training: {epochs: 5, batch_size: 32}
folds: {scheme: shard, k: %d}
"""
ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folds", type=int, default=4, help="how many to start, besides one that fills the cache")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rustk-bench-") as folder:
        store = open_store(str(Path(folder) / "store"))
        phantom = ["phantom", "--images", "120", "--size", "96", "--store", store.url]
        subprocess.run([sys.executable, "-m", "rustk", *phantom], check=True, capture_output=True)
        run = _plan(store, options.folds + 1)
        _train(store, run, 0)
        imports = [_seconds_to_import() for _ in range(options.folds)]
        parts = [_train(store, run, fold) for fold in range(1, options.folds + 1)]
    imported = statistics.median(imports)
    print(f"import keras, tensorflow alone {imported:6.2f} s (median of {options.folds} processes)")
    for name in parts[0]:
        print(f"{name:30s} {statistics.median(part[name] for part in parts):6.2f} s")
    first = statistics.median(part["until the first step is done"] for part in parts)
    print(f"besides the import             {first - imported:6.2f} s (limit 3)")


def _plan(store: Store, folds: int) -> str:
    study = resolve_study(STUDY % folds, source="bench", read_base=lambda *_: ("", ""))
    dataset = read_dataset(store, "phantom")
    plan = make_plan(
        study,
        read_index(store, dataset),
        dataset=dataset.name,
        dataset_digest=dataset.digest,
        instrument=dataset.instrument,
        weights_sha256=None,
        name="start",
    )
    publish_plan(store, plan)
    return plan.run


def _train(store: Store, run: str, fold: int) -> dict[str, float]:
    """Train a fold in a process of its own; its seconds by phase, from its history."""
    command = [sys.executable, "-m", "rustk.training", "fold", "--store", store.url, "--run", run]
    whole = _seconds([*command, "--task", f"0/{fold}"])
    key = names.history_key(run, 0, fold)
    table = read_parquet(store.read(key), key)
    phases = parse_document(HistoryMetadata, read_metadata_bytes(table.schema), key).phases_seconds
    epochs = table["seconds"].to_pylist()
    # The first epoch traces and compiles; what its steps themselves take, the later ones tell.
    traced = epochs[0] - statistics.median(epochs[1:])
    parts = {
        "process and imports": phases["start"],
        "dataset and index": phases["read"],
        "features from the cache": phases["features"],
        "network and optimizer": phases["build"],
        "tracing the first epoch": traced,
    }
    first = sum(parts.values())
    return {**parts, "until the first step is done": first, "the other epochs, and writing": whole - first}


def _seconds_to_import() -> float:
    """From the start of a process until it has imported Keras and TensorFlow, without its end."""
    command = [sys.executable, "-c", "import keras, tensorflow; print('imported', flush=True)"]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        return time.perf_counter() - started


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
