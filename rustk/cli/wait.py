"""`rustk wait`: until a run is complete."""

from typing import TYPE_CHECKING, Annotated

import typer

from rustk.cli.cluster import BackendOption, NamespaceOption, on_cluster
from rustk.cli.context import StoreOption, settings, store_from
from rustk.cli.observing import RunArgument, RunView, run_name, viewed
from rustk.vocabulary.errors import RustkError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rustk.planning.progress import RunProgress
    from rustk.store import Store
    from rustk.vocabulary.settings import Settings

_REFRESH_SECONDS = 5.0
_EXIT_TIMED_OUT = 124
_SHOWN_FOLDS = 12
# Jobs that another submit is about to create are not there yet.
_PATIENCE_SECONDS = 10.0


def wait(
    run: RunArgument = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait at most.", show_default=False)] = None,
    max_live: Annotated[
        int | None, typer.Option(help="Keep at most this many Jobs in the cluster.", min=1, show_default=False)
    ] = None,
    backend: BackendOption = None,
    namespace: NamespaceOption = None,
    store: StoreOption = None,
) -> None:
    """Wait until every fold is done: exit code 0. Non-zero, naming the folds, once the rest can't be done any more."""
    current = settings(store=store, backend=backend, kubernetes=on_cluster(namespace, max_live=max_live))
    opened = store_from(current)
    wait_for(opened, current, run_name(opened, run), timeout=timeout)


def wait_for(store: "Store", current: "Settings", run: str, *, timeout: float | None = None) -> None:
    """Wait for a run, printing a line when more of it is done. Raises RustkError when it ends incomplete."""
    import time

    from rustk.cli.status import duration

    deadline = None if timeout is None else time.monotonic() + timeout
    top_up = _topping_up(store, current, run)
    with viewed(current, store, run, watched=True) as view:
        moved = time.monotonic()
        printed = -1
        while True:
            progress = view.progress()
            if progress.counts["done"] != printed:
                printed = progress.counts["done"]
                left = f", about {duration(progress.eta_seconds)} left" if progress.eta_seconds else ""
                typer.echo(f"{printed} of {len(progress.folds)} folds are done{left}")
            if progress.complete:
                typer.echo(f"run {run} is complete: rustk aggregate {run}")
                return
            if top_up(progress) or progress.moving:
                moved = time.monotonic()
            elif not progress.counts["missing"] or time.monotonic() - moved >= _PATIENCE_SECONDS:
                raise RustkError(_why_incomplete(progress))
            _rest(view, deadline, progress)


def _rest(view: RunView, deadline: float | None, progress: "RunProgress") -> None:
    import time

    left = _REFRESH_SECONDS if deadline is None else deadline - time.monotonic()
    if left <= 0:
        raise RustkError(
            f"run {progress.run} is not complete yet: "
            f"{progress.counts['done']} of {len(progress.folds)} folds are done",
            exit_code=_EXIT_TIMED_OUT,
        )
    view.wait(min(_REFRESH_SECONDS, left))


def _topping_up(store: "Store", current: "Settings", run: str) -> "Callable[[RunProgress], bool]":
    """A function that creates the Jobs for which there is room by now, if their number is bounded.

    It says whether some were made, or there is no room: a fold that has just written its history leaves a Job that is
    alive for a moment more, and those behind it are not lost.
    """
    bound = current.kubernetes.max_live
    if current.backend == "local" or bound is None:
        return lambda progress: False

    from rustk.cli.cluster import cluster_from
    from rustk.cluster.rendering import render_run
    from rustk.cluster.submit import submit_run
    from rustk.store.runs import load_plan

    plan = load_plan(store, run)
    jobs = render_run(plan, current, allow_tag=True)  # submit has had its say about the image
    cluster = cluster_from(current)

    def top_up(progress: "RunProgress") -> bool:
        live = progress.counts["running"] + progress.counts["pending"]
        if progress.counts["missing"] == 0 or live >= bound:
            return False
        submitted = submit_run(cluster, store, plan, jobs, max_live=bound)
        return bool(submitted.created or submitted.existing or submitted.decision.held)

    return top_up


def _why_incomplete(progress: "RunProgress") -> str:
    """The folds that are not done, and the first reasons, in one line."""
    failed = progress.in_state("failed", "no history")
    missing = progress.in_state("missing")
    parts = []
    if failed:
        named = ", ".join(f"trial {f.trial} fold {f.fold} ({f.reason})" for f in failed[:_SHOWN_FOLDS])
        more = f" and {len(failed) - _SHOWN_FOLDS} more" if len(failed) > _SHOWN_FOLDS else ""
        parts.append(f"{len(failed)} failed: {named}{more}")
    if missing:
        named = ", ".join(f"trial {f.trial} fold {f.fold}" for f in missing[:_SHOWN_FOLDS])
        more = f" and {len(missing) - _SHOWN_FOLDS} more" if len(missing) > _SHOWN_FOLDS else ""
        parts.append(f"{len(missing)} missing, with nothing at work on them: {named}{more}")
    again = "submit again with --retry-failed" if failed else "submit again"
    return f"run {progress.run} is not complete: {'; '.join(parts)}: {again}"
