"""Run what is missing of a run on this machine, and its final model."""

import contextlib
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from types import FrameType

from rustk.backends.base import AgainRequest, FinalRequest, FoldEvent
from rustk.backends.local.live import LiveFiles, only_runner
from rustk.backends.local.logs import LogBook
from rustk.backends.local.pool import FoldFailure, run_folds
from rustk.backends.local.worker import serve_command
from rustk.planning.batches import FoldTask
from rustk.planning.plan import Plan
from rustk.planning.rounds import is_decided_in_rounds
from rustk.searching.run_search import Next, RunSearch
from rustk.searching.words import describe_round
from rustk.store import Store
from rustk.store.runs import done_tasks, record_submission
from rustk.vocabulary.errors import RustkError
from rustk.vocabulary.wording import counted

_STOP_SECONDS = 10.0


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
    environment: Mapping[str, str],
    on_event: Callable[[FoldEvent], None],
) -> tuple[int, list[FoldFailure]]:
    """Train every fold of `plan` that has no history yet; how many were done, and those that failed for good.

    Raises Stopped on SIGINT or SIGTERM, after the workers have ended; RustkError when another process runs this run
    here; StoreFailed.
    """
    with only_runner(store.url, plan.run) as directory, stoppable():
        live, book = LiveFiles(directory, plan.study.training.epochs), LogBook(directory)
        ahead = _Ahead(RunSearch(store, plan), live, on_event)
        finished = 0

        def told(event: FoldEvent) -> None:
            nonlocal finished
            finished += event.kind == "done"
            live.update(event)
            book.update(event)
            on_event(event)

        command = serve_command(store.url, plan.run)
        is_first = True
        while missing := ahead.more():
            if is_first:
                record_submission(store, plan.run, backend="local", folds=len(missing))
                is_first = False
            failures = run_folds(
                command,
                missing,
                workers=workers,
                retries=retries,
                log_dir=directory,
                on_event=told,
                environment=environment,
                # Without rounds all of it is known from the start.
                more=ahead.more if is_decided_in_rounds(plan.study) else None,
            )
            if failures:
                return finished, failures
    lost = len(ahead.tried - done_tasks(store, plan.run))
    if lost:
        raise RustkError(
            f"{counted(lost, 'fold')} of run {plan.run} ended without a history in {store.url}: submit again to train "
            "what is missing"
        )
    return finished, []


class _Ahead:
    """What is to be trained of a run, as its search goes on."""

    def __init__(self, search: RunSearch, live: LiveFiles, on_event: Callable[[FoldEvent], None]) -> None:
        self.tried: set[FoldTask] = set()
        self._search = search
        self._live = live
        self._on_event = on_event
        self._rounds_told: int | None = None

    def more(self) -> list[FoldTask]:
        """What may be trained by now, and was not tried yet: it follows from the store alone."""
        now = self._search.next()
        self._tell(now)
        fresh = [task for task in now.tasks if task not in self.tried]
        self.tried.update(fresh)
        self._live.expect(sorted(self.tried))
        return fresh

    def _tell(self, now: Next) -> None:
        done = len(now.done & set(now.plan.tasks))
        self._on_event(FoldEvent("total", details={"done": done, "total": now.folds_left}))
        # Those that were decided before are nothing that has happened.
        for decided in now.rounds[len(now.rounds) if self._rounds_told is None else self._rounds_told :]:
            details = {"round": decided.number, "sentence": describe_round(decided)}
            self._on_event(FoldEvent("round", details=details))
        self._rounds_told = len(now.rounds)


def train_final_here(
    store: Store, run: str, request: FinalRequest, environment: Mapping[str, str], tell: Callable[[str], None]
) -> None:
    """Run the program that trains a final model to its end. Raises RustkError with its last word, and its exit code."""
    _train_here(["final", "--store", store.url, "--run", run, *request.arguments], environment, tell)


def train_again_here(
    store: Store, run: str, request: AgainRequest, environment: Mapping[str, str], tell: Callable[[str], None]
) -> None:
    """Run the program that trains a fold once more to its end. Raises as `train_final_here` does."""
    _train_here(["again", "--store", store.url, "--run", run, *request.arguments], environment, tell)


def _train_here(arguments: list[str], environment: Mapping[str, str], tell: Callable[[str], None]) -> None:
    command = [sys.executable, "-m", "rustk.training", *arguments]
    with tempfile.TemporaryFile("w+", errors="replace") as said, stoppable():
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=said, text=True)
        try:
            for line in process.stdout or ():
                tell(line.rstrip("\n"))
            code = process.wait()
        except Stopped as stopped:
            raise RustkError(
                f"stopped by {stopped}: the same command goes on", exit_code=128 + stopped.signal_number
            ) from None
        finally:
            _end(process)
        said.seek(0)
        # TensorFlow talks on stderr too; the program's own word is the last line, if it came so far.
        words = said.read().strip().rpartition("\n")[2]
    if code < 0:
        raise RustkError(f"the worker was killed by signal {-code}: the same command goes on")
    if code:
        raise RustkError(words.removeprefix("rustk: ") or f"the worker ended with exit code {code}", exit_code=code)


def _end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
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
