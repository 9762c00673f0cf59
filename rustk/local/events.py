"""What the pool tells whoever shows progress."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class FoldEvent:
    """Something that happened to a fold, or to the worker `worker`.

    kind: started, features (done, total), epoch (epoch, epochs, val_auroc, loss), done (outcome, diverged_epoch),
    retried (message), failed (exit_code, message).
    """

    kind: str
    worker: int
    trial: int
    fold: int
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FoldFailure:
    trial: int
    fold: int
    exit_code: int
    message: str
