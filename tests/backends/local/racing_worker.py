"""A worker that speaks the protocol of `python -m rustk.training serve`, and whose folds are made up: what a history
holds follows from its trial and fold alone. argv: the directory of a store, and a run."""

import json
import sys

import numpy as np
import pyarrow as pa

from rustk.store import open_store
from rustk.vocabulary import names
from rustk.vocabulary.parquet import encode_parquet

EPOCHS = 3


def curve(trial: int, fold: int) -> list[float]:
    """val_auroc by epoch: trials differ more than the noise."""
    rng = np.random.default_rng([trial, fold])
    return [0.6 + 0.02 * (trial * 7 % 11) + 0.01 * fold + 0.005 * float(value) for value in rng.normal(size=EPOCHS)]


def say(**message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> None:
    store, run = open_store(sys.argv[1]), sys.argv[2]
    say(event="ready")
    for line in sys.stdin:
        task = json.loads(line)
        values = curve(task["trial"], task["fold"])
        for epoch, value in enumerate(values, start=1):
            say(event="epoch", **task, epoch=epoch, epochs=EPOCHS, val_auroc=value, loss=1.0)
        table = pa.table({"epoch": pa.array(range(1, EPOCHS + 1), pa.int32()), "val_auroc": values})
        store.write(names.history_key(run, task["trial"], task["fold"]), encode_parquet(table))
        say(event="done", **task, outcome="completed", diverged_epoch=None)


if __name__ == "__main__":
    main()
