"""Run folds in worker processes of this machine, with retries for those whose worker dies."""

import itertools
import os
import queue
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rustk.backends.base import FoldEvent
from rustk.backends.local.logs import worker_log
from rustk.backends.local.worker import Worker
from rustk.planning.batches import FoldTask
from rustk.vocabulary.errors import FINAL_EXIT_CODES


@dataclass(frozen=True)
class FoldFailure:
    """A fold that was given up. trial and fold -1: a worker ended before its first."""

    trial: int
    fold: int
    exit_code: int
    message: str


def run_folds(
    command: Sequence[str],
    tasks: Iterable[FoldTask],
    *,
    workers: int | None,
    retries: int,
    log_dir: Path,
    on_event: Callable[[FoldEvent], None],
    environment: Mapping[str, str] | None = None,
    more: Callable[[], Sequence[FoldTask]] | None = None,
) -> list[FoldFailure]:
    """Train every (trial, fold) of `tasks`; those that failed for good.

    command: the program of a worker (`serve_command`). workers: processes at most; by default one a core. A fold whose
    worker dies or whose store fails is tried again up to `retries` times. After bad data or a bad study nothing more
    is started: it would befall the others alike. environment: of the workers, besides this process's own. more: asked,
    whenever a fold has ended and none waits, for folds that may be trained by now and that it has not given before.
    The workers are gone when this returns or raises.
    """
    waiting = deque(tasks)
    if not waiting:
        return []
    pool = _Pool(command, waiting, retries, log_dir, on_event, environment or {}, more, workers or os.cpu_count() or 1)
    try:
        pool.start_workers()
        while pool.is_busy:
            pool.handle_next()
    finally:
        pool.stop()
    return pool.failures


class _Pool:
    def __init__(
        self,
        command: Sequence[str],
        waiting: deque[FoldTask],
        retries: int,
        log_dir: Path,
        on_event: Callable[[FoldEvent], None],
        environment: Mapping[str, str],
        more: Callable[[], Sequence[FoldTask]] | None,
        most_workers: int,
    ) -> None:
        self.failures: list[FoldFailure] = []
        self._command = command
        self._waiting = waiting
        self._retries = retries
        self._log_dir = log_dir
        self._on_event = on_event
        self._environment = environment
        self._more = more
        self._most_workers = most_workers
        self._resting: list[int] = []  # workers without a fold, kept while others' folds may bring them one
        self._messages: queue.SimpleQueue[tuple[int, dict[str, Any]]] = queue.SimpleQueue()
        self._workers: dict[int, Worker] = {}
        self._running: dict[int, FoldTask] = {}
        self._tries: dict[FoldTask, int] = {}

    @property
    def is_busy(self) -> bool:
        return bool(self._workers)

    def start_workers(self) -> None:
        """As many workers as there are folds for them, beside those that are about to take one."""
        starting = len(self._workers) - len(self._running) - len(self._resting)
        wanted = min(self._most_workers, len(self._workers) + max(0, len(self._waiting) - starting))
        free = (number for number in itertools.count() if number not in self._workers)
        while len(self._workers) < wanted:
            self._start(next(free))

    def _start(self, number: int) -> None:
        log = worker_log(self._log_dir, number)
        self._workers[number] = Worker(number, self._command, log, self._messages, self._environment)

    def stop(self) -> None:
        # All are asked before the first is waited for.
        for worker in self._workers.values():
            worker.ask_to_stop()
        for worker in self._workers.values():
            worker.stop()

    def handle_next(self) -> None:
        number, message = self._messages.get()
        kind = message.get("event")
        if kind == "end":
            self._ended(number)
        elif kind == "ready":
            self._hand_out(number)
        elif kind in ("features", "epoch"):
            self._tell(kind, number, message)
        elif kind == "done":
            self._tell("done", number, message)
            del self._running[number]
            self._ask_for_more(but=1)
            self._hand_out(number)
        elif kind == "failed":
            task = self._running.pop(number)
            self._give_up_or_retry(number, task, int(message["exit_code"]), str(message["message"]))
            self._ask_for_more(but=1)
            self._hand_out(number)

    def _ask_for_more(self, *, but: int = 0) -> None:
        """Take in what may be trained by now, and wake resting workers for all of it but so many folds."""
        if self._more is not None and not self._waiting:
            self._waiting.extend(self._more())
        while self._resting and len(self._waiting) > but:
            self._hand_out(self._resting.pop())

    def _hand_out(self, number: int) -> None:
        """The next fold for this worker, or a rest, or its end."""
        if not self._waiting:
            if self._more is not None and self._running:
                self._resting.append(number)
                return
            self._resting.append(number)
            self._dismiss()
            return
        task = self._waiting.popleft()
        self._running[number] = task
        self._on_event(FoldEvent("started", number, *task))
        self._workers[number].send(*task)
        if self._more is not None:
            self.start_workers()

    def _dismiss(self) -> None:
        """End the workers that rest: nothing will bring them a fold any more."""
        for number in self._resting:
            self._workers.pop(number).stop()
        self._resting.clear()

    def _ended(self, number: int) -> None:
        worker = self._workers.pop(number, None)
        if worker is None:
            return  # it was told to stop
        worker.stop()
        if number in self._resting:
            self._resting.remove(number)
            return
        task = self._running.pop(number, None)
        if task is None:
            # It died before its first fold: the next would too.
            code = worker.exit_code
            self.failures.append(FoldFailure(-1, -1, code if code > 0 else 1, worker.last_words()))
            self._stop_asking()
            return
        self._give_up_or_retry(number, task, 1, worker.last_words())
        self._ask_for_more()
        if self._waiting:
            self._start(number)
        elif not self._running:
            self._dismiss()

    def _give_up_or_retry(self, number: int, task: FoldTask, exit_code: int, message: str) -> None:
        self._tries[task] = self._tries.get(task, 0) + 1
        details = {"exit_code": exit_code, "message": message}
        if exit_code not in FINAL_EXIT_CODES and self._tries[task] <= self._retries:
            self._waiting.append(task)
            self._on_event(FoldEvent("retried", number, *task, details))
            return
        self.failures.append(FoldFailure(*task, exit_code, message))
        self._on_event(FoldEvent("failed", number, *task, details))
        if exit_code in FINAL_EXIT_CODES:
            self._stop_asking()

    def _stop_asking(self) -> None:
        self._waiting.clear()
        self._more = None

    def _tell(self, kind: str, number: int, message: dict[str, Any]) -> None:
        details = {name: value for name, value in message.items() if name not in ("event", "trial", "fold")}
        self._on_event(FoldEvent(kind, number, *self._running[number], details))
