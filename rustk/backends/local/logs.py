"""The log of a fold: a stretch of the log of the worker that trained it.

A worker's own lines are what it left on stderr. `folds.jsonl` says for each try of a fold in which file it begins and
ends, and what the worker told of the fold stands among the lines, as a container prints it.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rustk.backends.base import FoldEvent

# With this begins a line that is not the worker's own.
TOLD = "[trial "

_BOOK = "folds.jsonl"
_POLL_SECONDS = 0.5


def worker_log(directory: Path, worker: int) -> Path:
    """The log of a worker, by its number."""
    return directory / f"worker-{worker}.log"


class LogBook:
    """Notes in `directory` where each fold's log is, as the pool's events come."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def update(self, event: FoldEvent) -> None:
        """Take in one event of the pool."""
        if event.kind == "started":
            self._note(event, "begin")
        if event.kind in ("epoch", "features", "done", "failed", "retried"):
            told = " ".join(f"{name}={_shown(value)}" for name, value in event.details.items() if value is not None)
            with worker_log(self._directory, event.worker).open("a") as log:
                log.write(f"{TOLD}{event.trial} fold {event.fold}] {event.kind} {told}\n")
        if event.kind in ("done", "failed", "retried"):
            self._note(event, "end")

    def _note(self, event: FoldEvent, which: str) -> None:
        log = worker_log(self._directory, event.worker)
        at = log.stat().st_size if log.exists() else 0
        entry = {"trial": event.trial, "fold": event.fold, "log": log.name, which: at}
        with (self._directory / _BOOK).open("a") as book:
            book.write(json.dumps(entry) + "\n")


def fold_log(
    directory: Path, trial: int, fold: int, *, follow: bool, is_live: Callable[[], bool]
) -> Iterator[str] | None:
    """The lines of a fold's latest try; with `follow` until it has ended. None where it was not tried here."""
    if _latest(directory, trial, fold) is None:
        return None
    return _lines(directory, trial, fold, follow, is_live)


def _lines(directory: Path, trial: int, fold: int, follow: bool, is_live: Callable[[], bool]) -> Iterator[str]:
    rest = b""
    position = -1
    while True:
        live = follow and is_live()  # before the look at what is written
        found = _latest(directory, trial, fold)
        if found is None:
            return
        position = found["begin"] if position < 0 else position
        with (directory / found["log"]).open("rb") as log:
            log.seek(position)
            end = found.get("end")
            chunk = log.read() if end is None else log.read(max(0, end - position))
        position += len(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines)
        if end is not None or not live:
            break
        time.sleep(_POLL_SECONDS)
    if rest:
        yield rest.decode(errors="replace")


def _latest(directory: Path, trial: int, fold: int) -> dict[str, Any] | None:
    """The file, the beginning and, once it has one, the end of the fold's latest try."""
    found: dict[str, Any] | None = None
    try:
        entries = (directory / _BOOK).read_text().splitlines()
    except FileNotFoundError:
        return None
    for line in entries:
        try:
            entry = json.loads(line)
        except ValueError:  # cut off when the machine went down
            continue
        if (entry["trial"], entry["fold"]) == (trial, fold):
            found = entry if "begin" in entry else {**(found or {"begin": 0}), **entry}
    return found


def _shown(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
