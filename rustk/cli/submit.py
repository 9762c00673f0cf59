"""`rustk submit`: expand a study and run its folds, on this machine or as one Kubernetes Job each."""

from typing import TYPE_CHECKING, Annotated

import typer

from rustk.cli.cluster import PANEL, AllowTagOption, BackendOption, ImageOption, NamespaceOption, on_cluster
from rustk.cli.context import DatasetOption, SetOption, StoreOption, settings, store_from
from rustk.cli.planning import FromOption, NameOption, PlanFlags, StudyArgument, plan_from
from rustk.cli.submit_to_cluster import ClusterFlags, submit_to_cluster
from rustk.vocabulary.errors import RustkError

if TYPE_CHECKING:
    from rustk.planning.plan import Plan
    from rustk.store import Store
    from rustk.vocabulary.settings import Settings


def submit(
    study: StudyArgument,
    dataset: DatasetOption = None,
    overrides: SetOption = None,
    name: NameOption = None,
    take_from: FromOption = None,
    backend: BackendOption = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes on this machine; by default one a core.", min=1, show_default=False)
    ] = None,
    image: ImageOption = None,
    allow_tag: AllowTagOption = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try failed folds again.", rich_help_panel=PANEL)
    ] = False,
    max_live: Annotated[
        int | None, typer.Option(help="Jobs at a time.", min=1, show_default=False, rich_help_panel=PANEL)
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the run is complete.", rich_help_panel=PANEL)
    ] = False,
    dry_run: Annotated[
        str | None,
        typer.Option(
            "--dry-run",
            metavar="[=client|server]",
            help="Create nothing; with =server the API server checks a Job.",
            show_default=False,
            rich_help_panel=PANEL,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="yaml", help="Print the Jobs.", show_default=False, rich_help_panel=PANEL
        ),
    ] = None,
    namespace: NamespaceOption = None,
    store: StoreOption = None,
) -> None:
    """Run a study: every fold that has no history yet. Running it again finishes what is missing and redoes nothing."""
    on = on_cluster(namespace, image=image, max_live=max_live)
    current = settings(store=store, dataset=dataset, backend=backend, kubernetes=on)
    opened = store_from(current)
    planned = plan_from(PlanFlags(study, current.dataset, overrides or [], name, take_from), opened)
    if current.backend == "kubernetes":
        submit_to_cluster(opened, planned, current, ClusterFlags(dry_run, output, retry_failed, allow_tag, wait))
    else:
        _run_locally(opened, planned, current, workers)


def _run_locally(store: "Store", planned: "Plan", current: "Settings", workers: int | None) -> None:
    from rustk.cli.progress import FoldProgress
    from rustk.local.running import Stopped, run_here
    from rustk.store.runs import publish_plan, record_submission

    planned = publish_plan(store, planned)
    record_submission(store, planned.run, {"backend": "local"})
    typer.echo(f"run {planned.run}: {len(planned.trials)} trials x {planned.study.folds.k} folds in {store.url}")
    with FoldProgress() as progress:
        try:
            failures = run_here(
                store,
                planned,
                workers=workers or current.local.workers,
                retries=current.local.retries,
                on_start=progress.start,
                on_event=progress.update,
            )
        except Stopped as stopped:
            again = f"{progress.done} of {progress.total} folds are done; submit again to finish the rest"
            raise RustkError(f"stopped by {stopped}: {again}", exit_code=128 + stopped.signal_number) from None
    if failures:
        first = failures[0]
        where = f"trial {first.trial} fold {first.fold}: " if first.trial >= 0 else ""
        others = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise RustkError(f"{where}{first.message}{others}", exit_code=first.exit_code)
    typer.echo(f"run {planned.run} is complete: rustk aggregate {planned.run}")
