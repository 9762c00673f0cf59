"""Which folds this machine is training right now: a lock and small files in the user's state directory.

The lock is held by the process that runs a run and falls with it, however it ends; the files count only while the lock
is held.
"""

import contextlib
import hashlib
import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from rustk.backends.base import FoldEvent
from rustk.planning.batches import FoldTask
from rustk.planning.progress import LiveFold
from rustk.vocabulary.errors import RustkError

_LOOK_AGAIN_SECONDS = 0.1


def state_dir(store_url: str, run: str) -> Path:
    """Where this machine keeps the lock and the worker logs of a run. Raises RustkError where there is no home."""
    try:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    except RuntimeError as error:
        raise RustkError(f"no directory for the state of runs: {error}: set XDG_STATE_HOME") from None
    return base / "rustk" / hashlib.sha256(f"{store_url}\n{run}".encode()).hexdigest()[:16]


def is_held(directory: Path) -> bool:
    """Whether a process on this machine is running the run of this state directory."""
    if not (directory / "lock").exists():
        return False
    try:
        with FileLock(directory / "lock", timeout=0):
            return False
    except Timeout:
        return True


def live_folds(store_url: str, run: str) -> list[LiveFold]:
    """The folds that a process of this machine trains, and those that it will; none when no process runs the run."""
    directory = state_dir(store_url, run)
    if not is_held(directory):
        return []
    try:
        tasks = json.loads((directory / "tasks.json").read_text())
        live = json.loads((directory / "live.json").read_text())
    except (FileNotFoundError, ValueError):
        return []  # the process has only begun
    begun = {(fold["trial"], fold["fold"]): fold for fold in live["running"]}
    given_up = {tuple(task) for task in live["given_up"]}
    folds = []
    for trial, fold in tasks:
        if (at := begun.get((trial, fold))) is not None:
            folds.append(LiveFold(trial, fold, "running", f"epoch {at['epoch']} of {at['epochs']}"))
        elif (trial, fold) not in given_up:
            folds.append(LiveFold(trial, fold, "pending", "waits for a worker of this machine"))
    return folds


def stop_runner(store_url: str, run: str, wait_seconds: float) -> bool | None:
    """Ask the process that runs a run here to end (SIGTERM), and wait until it has let go of it.

    Whether it has ended in time; None where no process here runs it.
    """
    directory = state_dir(store_url, run)
    deadline = time.monotonic() + wait_seconds
    asked: set[int] = set()
    while is_held(directory):
        with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
            process = int((directory / "pid").read_text())
            if process not in asked:
                os.kill(process, signal.SIGTERM)
                asked.add(process)
        if asked and time.monotonic() >= deadline:
            return False
        time.sleep(_LOOK_AGAIN_SECONDS)
    return True if asked else None


class LiveFiles:
    """Keeps tasks.json and live.json in step with the pool's events."""

    def __init__(self, directory: Path, epochs: int) -> None:
        self._directory = directory
        self._epochs = epochs
        self._running: dict[FoldTask, dict[str, Any]] = {}
        self._given_up: list[FoldTask] = []
        self.expect([])

    def expect(self, tasks: Sequence[FoldTask]) -> None:
        """These are trained next, all that are not yet done or given up."""
        self._write("tasks.json", tasks)
        self._write_live()

    def update(self, event: FoldEvent) -> None:
        """Take in one event of the pool."""
        task = (event.trial, event.fold)
        if event.kind == "started":
            self._running[task] = {"trial": event.trial, "fold": event.fold, "epoch": 0, "epochs": self._epochs}
        elif event.kind == "epoch":
            self._running[task]["epoch"] = event.details["epoch"]
        elif event.kind in ("done", "failed", "retried"):
            self._running.pop(task, None)
            if event.kind == "failed":
                self._given_up.append(task)
        else:
            return
        self._write_live()

    def _write_live(self) -> None:
        self._write("live.json", {"running": list(self._running.values()), "given_up": self._given_up})

    def _write(self, name: str, content: object) -> None:
        aside = self._directory / f"{name}.partial"
        aside.write_text(json.dumps(content))
        aside.replace(self._directory / name)


@contextlib.contextmanager
def only_runner(store_url: str, run: str) -> Iterator[Path]:
    """Hold the right to run `run` here; yields its state directory. Raises RustkError if another process holds it."""
    directory = state_dir(store_url, run)
    lock = FileLock(directory / "lock", timeout=1)  # `live_folds` may hold it for an instant
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        (directory / "pid").write_text(str(os.getpid()))
    except Timeout:
        raise RustkError(
            f"run {run} is already running on this machine: watch it with `rustk status {run} --watch`"
        ) from None
    except OSError as error:
        raise RustkError(
            f"could not keep the state of the run in {directory}: {error.strerror}: set XDG_STATE_HOME to a directory "
            "that you may write to"
        ) from None
    try:
        yield directory
    finally:
        (directory / "pid").unlink(missing_ok=True)
        lock.release()
