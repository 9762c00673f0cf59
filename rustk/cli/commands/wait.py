"""`rustk wait`: until a run is complete."""

from typing import TYPE_CHECKING, Annotated

import typer

from rustk.cli.backend_options import (
    BackendOption,
    FoldsPerJobOption,
    MaxLiveOption,
    NamespaceOption,
    backend_from,
    on_cluster,
)
from rustk.cli.context import StoreOption, settings, store_from
from rustk.cli.run_choice import RunArgument, chosen_run
from rustk.vocabulary.errors import BadData, RustkError
from rustk.vocabulary.wording import counted

if TYPE_CHECKING:
    from rustk.backends.base import Backend
    from rustk.planning.plan import Plan
    from rustk.planning.progress import FoldStatus, RunProgress
    from rustk.searching.run_search import RunSearch
    from rustk.store import Store
    from rustk.store.progress import RunView

_REFRESH_SECONDS = 5.0
_EXIT_TIMED_OUT = 124
_SHOWN_FOLDS = 12
# Jobs that another submit is about to create are not there yet.
_PATIENCE_SECONDS = 10.0


def wait(
    run: RunArgument = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds to wait at most.", min=0, max=1e9, show_default=False)
    ] = None,
    backend: BackendOption = None,
    max_live: MaxLiveOption = None,
    folds_per_job: FoldsPerJobOption = None,
    namespace: NamespaceOption = None,
    store: StoreOption = None,
) -> None:
    """Wait until every fold is done: exit code 0. Non-zero, naming the folds, once the rest can't be done any more."""
    on = on_cluster(namespace, max_live=max_live, folds_per_job=folds_per_job)
    current = settings(store=store, backend=backend, kubernetes=on)
    opened = store_from(current)
    used = backend_from(current, opened, max_live=max_live, folds_per_job=folds_per_job, namespace=namespace)
    wait_for(used, opened, chosen_run(opened, run), timeout=timeout)


def wait_for(backend: "Backend", store: "Store", run: str, *, timeout: float | None = None) -> None:
    """Wait for a run, printing a line when more of it is done. Raises RustkError when it ends incomplete."""
    import time

    from rustk.store.progress import RunView

    deadline = None if timeout is None else time.monotonic() + timeout
    going_on = GoingOn(backend, store, run)
    with backend.observe(run, watched=True) as source:
        view = RunView(store, run, source)
        # Now, and before the run is said to be complete: where nothing goes on, nobody else looks at its rounds.
        going_on.check()
        moved = time.monotonic()
        printed = -1
        while True:
            progress = view.progress()
            if progress.counts["done"] != printed:
                printed = progress.counts["done"]
                left = f", {progress.time_left}" if progress.time_left else ""
                typer.echo(f"{_done(progress)}{left}")
            if progress.complete:
                going_on.close()
                typer.echo(f"run {run} is complete: rustk aggregate {run}")
                return
            if going_on.tried(progress) or progress.moving:
                moved = time.monotonic()
            elif not _may_go_on(progress) or time.monotonic() - moved >= _PATIENCE_SECONDS:
                raise RustkError(_why_incomplete(progress))
            _rest(view, deadline, progress)


def _rest(view: "RunView", deadline: float | None, progress: "RunProgress") -> None:
    import time

    left = _REFRESH_SECONDS if deadline is None else deadline - time.monotonic()
    if left <= 0:
        raise RustkError(
            f"run {progress.run} is not complete yet: {_done(progress)}",
            exit_code=_EXIT_TIMED_OUT,
        )
    view.wait(min(_REFRESH_SECONDS, left))


def _done(progress: "RunProgress") -> str:
    dropped = progress.counts["dropped"]
    raced = f", {dropped} dropped" if dropped else ""
    return f"{progress.counts['done']} of {counted(len(progress.folds), 'fold')} are done{raced}"


def _may_go_on(progress: "RunProgress") -> bool:
    """Whether there is something left that a backend might start."""
    return bool(progress.counts["missing"] or progress.trials_to_come)


class GoingOn:
    """Has the backend start what may be started by now."""

    def __init__(self, backend: "Backend", store: "Store", run: str) -> None:
        self._backend = backend
        self._store = store
        self._run = run
        self._plan: Plan | None = None
        self._search: RunSearch | None = None
        self._seen: object = None
        self._asked = float("-inf")
        self._answer = False

    def check(self, *, writes: bool = False) -> None:
        """Raise RoundContradicted for a search whose rounds are not those of its histories."""
        from rustk.planning.rounds import is_decided_in_rounds
        from rustk.searching.run_search import RunSearch

        plan = self._planned()
        if plan is None or not is_decided_in_rounds(plan.study):
            return
        if self._search is None or writes:
            self._search = RunSearch(self._store, plan, writes=writes)
        self._search.next()

    def close(self) -> None:
        """Decide the rounds that nobody had to wait for: those of a race that drops nobody any more, whose folds were
        all trained at once. Raises as `check` does."""
        self.check(writes=True)

    def tried(self, progress: "RunProgress") -> bool:
        """Whether something was started, or waits for room, when it was last tried: at a change, and now and then."""
        import time

        if not _may_go_on(progress):
            return False
        seen = (dict(progress.counts), progress.rounds)
        if seen != self._seen or time.monotonic() - self._asked >= _REFRESH_SECONDS:
            self._seen, self._asked = seen, time.monotonic()
            self._answer = self._advance()
        return self._answer

    def _advance(self) -> bool:
        plan = self._planned()
        return plan is not None and self._backend.advance(plan)

    def _planned(self) -> "Plan | None":
        """None for a run of another version, or published by others: it can be watched, and that is all."""
        from rustk.store.rounds import RoundContradicted
        from rustk.store.runs import load_plan

        if self._plan is None:
            try:
                self._plan = load_plan(self._store, self._run)
            except RoundContradicted:
                raise
            except BadData:
                return None
        return self._plan


def _why_incomplete(progress: "RunProgress") -> str:
    """The folds that are not done, and the first reasons, in one line."""
    failed = progress.in_state("failed", "no history")
    missing = progress.in_state("missing")
    parts = []
    if failed:
        parts.append(f"{len(failed)} failed: {_named(failed)}")
    if missing:
        parts.append(f"{len(missing)} missing, with nothing at work on them: {_named(missing)}")
    if progress.trials_to_come:
        parts.append(f"{counted(progress.trials_to_come, 'trial')} still to be asked for")
    again = "submit again with --retry-failed" if failed else "submit again"
    return f"run {progress.run} is not complete: {'; '.join(parts)}: {again}"


def _named(folds: "list[FoldStatus]") -> str:
    named = ", ".join(
        f"trial {fold.trial} fold {fold.fold}" + (f" ({fold.reason})" if fold.reason else "")
        for fold in folds[:_SHOWN_FOLDS]
    )
    return f"{named} and {len(folds) - _SHOWN_FOLDS} more" if len(folds) > _SHOWN_FOLDS else named
