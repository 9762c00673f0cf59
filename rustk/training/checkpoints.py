"""A fold between two epochs, as one object of the store: for folds that are too long to lose."""

import io
import json
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from rustk.store import Store
from rustk.training.loop import FoldProgress, Trainer
from rustk.vocabulary.errors import KeyMissing


def encode_checkpoint(trainer: Trainer, progress: FoldProgress, identity: dict[str, Any]) -> bytes:
    """All that the next epoch depends on: every variable of network and optimizer, and what the fold has come to.

    `identity` says which fold of what this is.
    """
    state = {
        "identity": identity,
        "rows": progress.rows,
        "batch_sizes": progress.batch_sizes,
        "phases_seconds": progress.phases_seconds,
    }
    arrays = {f"variable_{number}": variable.numpy() for number, variable in enumerate(_variables(trainer))}
    buffer = io.BytesIO()
    np.savez(buffer, state=np.array(json.dumps(state)), predictions=np.array(progress.predictions), **arrays)
    return buffer.getvalue()


def read_checkpoint(store: Store, key: str, trainer: Trainer, identity: dict[str, Any]) -> FoldProgress | None:
    """Put a checkpoint's variables in place and return where the fold stands.

    None, and nothing changed, where there is none of this fold as it is planned now, or where it did not survive.
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
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError, OSError):
        return None
    variables = _variables(trainer)
    if state["identity"] != identity or [value.shape for value in values] != [tuple(v.shape) for v in variables]:
        return None
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return FoldProgress(
        rows=state["rows"],
        predictions=predictions,
        batch_sizes=state["batch_sizes"],
        phases_seconds=state["phases_seconds"],
    )


def _variables(trainer: Trainer) -> Sequence[Any]:
    """Weights, moving statistics, dropout generators and optimizer, in an order of their own."""
    backbone = trainer.extractor.variables if trainer.extractor is not None and trainer.trainable else []
    return [*backbone, *trainer.head.variables, *trainer.optimizer.variables]
