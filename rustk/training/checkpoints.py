"""A training between two epochs, as one object of the store: for those that are too long to lose."""

import io
import json
import zipfile
from typing import Any

import numpy as np

from rustk.store import Store
from rustk.training.loop import Progress, Trainer
from rustk.vocabulary.errors import KeyMissing


def encode_checkpoint(trainer: Trainer, progress: Progress, identity: dict[str, Any]) -> bytes:
    """All that the next epoch depends on: every variable of network and optimizer, and what it has come to.

    `identity` says which training of what this is.
    """
    state = {
        "identity": identity,
        "rows": progress.rows,
        "batch_sizes": progress.batch_sizes,
        "flips": sorted(progress.flips),
        "phases_seconds": progress.phases_seconds,
    }
    arrays = {f"variable_{number}": variable.numpy() for number, variable in enumerate(trainer.variables)}
    buffer = io.BytesIO()
    np.savez(buffer, state=np.array(json.dumps(state)), predictions=np.array(progress.predictions), **arrays)
    return buffer.getvalue()


def read_checkpoint(store: Store, key: str, trainer: Trainer, identity: dict[str, Any]) -> Progress | None:
    """Put a checkpoint's variables in place and return where the training stands.

    None, and nothing changed, where there is none of this training as it is planned now, or where it did not survive.
    """
    try:
        data = store.read(key)
    except KeyMissing:
        return None
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            found = dict(arrays)
        state = json.loads(str(found["state"]))
        values = [found[f"variable_{number}"] for number in range(len(found) - 2)]
        predictions = list(found["predictions"])
        identity_found, rows, sizes, flips, phases = (
            state[name] for name in ("identity", "rows", "batch_sizes", "flips", "phases_seconds")
        )
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, EOFError, OSError, MemoryError):
        return None
    variables = trainer.variables
    if identity_found != identity or [value.shape for value in values] != [tuple(v.shape) for v in variables]:
        return None
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return Progress(
        rows=rows,
        predictions=predictions,
        batch_sizes=sizes,
        flips=set(flips),
        phases_seconds=phases,
    )
