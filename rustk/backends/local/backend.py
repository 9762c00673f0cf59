"""This machine as a backend: `submit` trains in the foreground, and every other command looks from outside."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime

from rustk.backends.base import (
    AgainRequest,
    Cancelled,
    Check,
    FinalRequest,
    FoldEvent,
    Preview,
    SubmitOptions,
    Submitted,
)
from rustk.backends.local.live import is_held, live_folds, state_dir, stop_runner
from rustk.backends.local.logs import fold_log
from rustk.backends.local.running import Stopped, run_here, train_again_here, train_final_here
from rustk.planning.plan import Plan
from rustk.planning.progress import LiveFolds, LiveSource
from rustk.planning.rounds import is_decided_in_rounds, is_race
from rustk.searching.run_search import RunSearch
from rustk.store import Store
from rustk.store.runs import done_tasks
from rustk.training.own_backbone import missing_module
from rustk.training.requirement import require_tensorflow, thread_count
from rustk.vocabulary.errors import BadStudy, RustkError
from rustk.vocabulary.settings import Settings
from rustk.vocabulary.wording import counted

# How often a view from outside looks again.
_POLL_SECONDS = 2.0


class LocalBackend:
    name = "local"
    # It waits anyway, and always tries failed folds again.
    honours = frozenset({"workers", "wait", "retry_failed"})

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store

    def preview(self, plan: Plan, options: SubmitOptions, *, ask_server: bool = False) -> Preview:
        self._check_here(plan)

        def sentence() -> str:
            now = RunSearch(self._store, plan, writes=False).next()
            done, missing = now.done, counted(len(now.tasks), "fold")
            workers = counted(min(self._workers(options), max(len(now.tasks), 1)), "worker")
            there = f", {counted(len(done), 'fold')} {'is' if len(done) == 1 else 'are'} done already" if done else ""
            later = ", and then what the search goes on with" if is_decided_in_rounds(plan.study) else ""
            return f"{missing} would be trained on this machine by {workers}{later}{there}"

        return Preview(sentence)

    def check_run(self, run: str) -> None:
        """Workers are this process's own: there are none of another store."""

    def submit(self, plan: Plan, options: SubmitOptions, on_event: Callable[[FoldEvent], None]) -> Submitted:
        try:
            finished, failures = run_here(
                self._store,
                plan,
                workers=self._workers(options),
                retries=self._settings.local.retries,
                environment=self._environment(),
                on_event=on_event,
            )
        except Stopped as stopped:
            done, most = len(done_tasks(self._store, plan.run)), plan.all_trials * plan.study.folds.k
            of = f"at most {most}" if is_race(plan.study) else str(most)
            raise RustkError(
                f"stopped by {stopped}: {done} of {of} folds are done; submit again to finish the rest",
                exit_code=128 + stopped.signal_number,
            ) from None
        if failures:
            first = failures[0]
            where = f"trial {first.trial} fold {first.fold}: " if first.trial >= 0 else ""
            others = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
            raise RustkError(f"{where}{first.message}{others}", exit_code=first.exit_code)
        return Submitted((), started=finished, complete=True)

    def advance(self, plan: Plan) -> bool:
        return False  # the process that submitted goes on by itself

    @contextlib.contextmanager
    def observe(self, run: str, *, watched: bool = False) -> Iterator[LiveSource]:
        yield _Here(self._store.url, run)

    def logs(self, run: str, trial: int, fold: int, *, follow: bool = False) -> Iterator[str]:
        directory = state_dir(self._store.url, run)
        lines = fold_log(directory, trial, fold, follow=follow, is_live=lambda: is_held(directory))
        if lines is None:
            raise RustkError(
                f"run {run}: trial {trial} fold {fold} has no log on this machine: no worker of it has begun the fold "
                f"(rustk status {run})"
            )
        return lines

    def cancel(self, run: str, *, wait_seconds: float, tell: Callable[[str], None]) -> Cancelled:
        ended = stop_runner(self._store.url, run, wait_seconds)
        if ended is None:
            return Cancelled(f"run {run}: nothing is at work on it on this machine")
        if not ended:
            return Cancelled(f"run {run}: its training on this machine was asked to stop", still_stopping=1)
        return Cancelled(f"run {run}: its training on this machine has stopped; what is done stays in the store")

    def train_final(self, plan: Plan, request: FinalRequest, tell: Callable[[str], None]) -> None:
        train_final_here(self._store, plan.run, request, {**os.environ, **self._environment()}, tell)

    def train_again(self, plan: Plan, request: AgainRequest, tell: Callable[[str], None]) -> None:
        train_again_here(self._store, plan.run, request, {**os.environ, **self._environment()}, tell)

    def check(self) -> Iterator[Check]:
        workers = counted(self._workers(SubmitOptions()), "worker")
        yield Check("ok", "workers", f"{workers} on this machine (local.workers)")
        try:
            require_tensorflow()
        except RustkError as error:
            yield Check("fail", "TensorFlow", str(error))
        else:
            yield Check("ok", "TensorFlow", "is installed")

    def _check_here(self, plan: Plan) -> None:
        """Raise BadStudy for what every worker on this machine would end with."""
        thread_count()
        for architecture in plan.study.possible("model.architecture"):
            if module := missing_module(str(architecture)):
                raise BadStudy(
                    f"model.architecture = {architecture}: there is no module {module} here: install it, or call rustk "
                    "from the folder that it lies in"
                )

    def _workers(self, options: SubmitOptions) -> int:
        return options.workers or self._settings.local.workers or os.cpu_count() or 1

    def _environment(self) -> dict[str, str]:
        """What the settings say that a worker can't read there, for it has no settings."""
        endpoint_url = self._settings.s3_endpoint_url
        return {"RUSTK_S3_ENDPOINT_URL": endpoint_url} if endpoint_url else {}


class _Here:
    """The folds in training on this machine."""

    def __init__(self, store_url: str, run: str) -> None:
        self._store_url = store_url
        self._run = run

    def live_folds(self, now: datetime) -> LiveFolds:
        return LiveFolds(live_folds(self._store_url, self._run))

    def wait(self, seconds: float) -> None:
        time.sleep(min(seconds, _POLL_SECONDS))
