"""Which folds this machine is training right now: a lock and a small file in the user's state directory.

The lock is held by the process that runs a run and falls with it, however it ends; the file counts only while the lock
is held.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from rustk.local.events import FoldEvent
from rustk.vocabulary.errors import RustkError


@dataclass(frozen=True)
class LiveFold:
    """A fold in training here. `epoch` is the last one finished (0: none yet), `seconds` since the fold began."""

    trial: int
    fold: int
    epoch: int
    epochs: int
    seconds: float


def state_dir(store_url: str, run: str) -> Path:
    """Where this machine keeps the lock and the worker logs of a run."""
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "rustk" / hashlib.sha256(f"{store_url}\n{run}".encode()).hexdigest()[:16]


def live_folds(store_url: str, run: str) -> list[LiveFold]:
    """The folds of a run in training on this machine; none when no process here runs it."""
    directory = state_dir(store_url, run)
    if not (directory / "lock").exists():
        return []
    try:
        with FileLock(directory / "lock", timeout=0):
            return []  # nobody holds it
    except Timeout:
        pass
    try:
        running = json.loads((directory / "live.json").read_text())
    except (FileNotFoundError, ValueError):
        return []  # the process has only begun
    now = time.time()
    return [LiveFold(f["trial"], f["fold"], f["epoch"], f["epochs"], now - f["since"]) for f in running]


class LiveFile:
    """Keeps live.json in step with the pool's events."""

    def __init__(self, directory: Path, epochs: int) -> None:
        self._path = directory / "live.json"
        self._epochs = epochs
        self._running: dict[tuple[int, int], dict[str, Any]] = {}
        self._write()

    def update(self, event: FoldEvent) -> None:
        task = (event.trial, event.fold)
        if event.kind == "started":
            self._running[task] = {
                "trial": event.trial,
                "fold": event.fold,
                "epoch": 0,
                "epochs": self._epochs,
                "since": time.time(),
            }
        elif event.kind == "epoch":
            self._running[task]["epoch"] = event.details["epoch"]
        elif event.kind in ("done", "failed", "retried"):
            self._running.pop(task, None)
        else:
            return
        self._write()

    def _write(self) -> None:
        aside = self._path.with_suffix(".partial")
        aside.write_text(json.dumps(list(self._running.values())))
        aside.replace(self._path)


@contextlib.contextmanager
def only_runner(store_url: str, run: str) -> Iterator[Path]:
    """Hold the right to run `run` here; yields its state directory. Raises RustkError if another process holds it."""
    directory = state_dir(store_url, run)
    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / "lock", timeout=1)  # `live_folds` may hold it for an instant
    try:
        lock.acquire()
    except Timeout:
        raise RustkError(
            f"run {run} is already running on this machine: watch it with `rustk status {run} --watch`"
        ) from None
    try:
        yield directory
    finally:
        lock.release()
