"""Run what is missing of a run on this machine."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rustk.local.events import FoldEvent, FoldFailure
from rustk.local.live import LiveFile, only_runner
from rustk.local.pool import run_folds
from rustk.local.worker import serve_command
from rustk.planning.plan import Plan
from rustk.store import Store
from rustk.store.runs import done_tasks


class Stopped(Exception):
    """The user or the system asked the run to stop (Ctrl-C, SIGTERM)."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.signal_number = signal_number


def run_here(
    store: Store,
    plan: Plan,
    *,
    workers: int | None,
    retries: int,
    on_start: Callable[[int, int], None],
    on_event: Callable[[FoldEvent], None],
) -> list[FoldFailure]:
    """Train every fold of `plan` that has no history yet; those that failed for good.

    on_start gets (folds done already, folds in all). Raises Stopped on SIGINT or SIGTERM, after the workers have ended;
    RustkError when another process runs this run here; StoreFailed.
    """
    with only_runner(store.url, plan.run) as directory, _stoppable():
        done = done_tasks(store, plan.run)
        missing = [task for task in plan.tasks if task not in done]
        on_start(len(plan.tasks) - len(missing), len(plan.tasks))
        live = LiveFile(directory, plan.study.training.epochs)

        def told(event: FoldEvent) -> None:
            live.update(event)
            on_event(event)

        command = serve_command(store.url, plan.run)
        return run_folds(command, missing, workers=workers, retries=retries, log_dir=directory, on_event=told)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into Stopped, so that both unwind alike and no worker is left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach only the main thread
        return

    def stop(signal_number: int, frame: FrameType | None) -> None:
        # Once is enough: a second Ctrl-C must not break off the unwinding.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise Stopped(signal_number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
