"""`rustk submit`: expand a study and run its folds, on this machine or as Kubernetes Jobs."""

from typing import Annotated

import typer

from rustk.cli.backend_options import (
    PANEL,
    AllowTagOption,
    BackendOption,
    FoldsPerJobOption,
    ImageOption,
    MaxLiveOption,
    NamespaceOption,
    backend_from,
    on_cluster,
)
from rustk.cli.context import DatasetOption, SetOption, StoreOption, settings, store_from
from rustk.cli.planning import FromOption, NameOption, PlanFlags, StudyArgument, plan_from
from rustk.vocabulary.errors import BadStudy


def submit(
    study: StudyArgument,
    dataset: DatasetOption = None,
    overrides: SetOption = None,
    name: NameOption = None,
    take_from: FromOption = None,
    backend: BackendOption = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes on this machine; by default one a core.", min=1, max=1024, show_default=False),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the run is complete.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try failed folds again.")] = False,
    dry_run: Annotated[
        str | None,
        typer.Option(
            "--dry-run",
            metavar="[=client|server]",
            help="Say what would run, and run nothing; with =server the API server checks a Job.",
            show_default=False,
        ),
    ] = None,
    image: ImageOption = None,
    allow_tag: AllowTagOption = False,
    max_live: MaxLiveOption = None,
    folds_per_job: FoldsPerJobOption = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="yaml",
            help="Print the Jobs, and create none.",
            show_default=False,
            rich_help_panel=PANEL,
        ),
    ] = None,
    namespace: NamespaceOption = None,
    store: StoreOption = None,
) -> None:
    """Run a study: every fold that has no history yet. Running it again finishes what is missing and redoes nothing."""
    from rustk.backends.base import SubmitOptions
    from rustk.cli.fold_progress import FoldProgress
    from rustk.store.runs import publish_plan
    from rustk.vocabulary.wording import counted

    on = on_cluster(namespace, image=image, max_live=max_live, folds_per_job=folds_per_job)
    current = settings(store=store, dataset=dataset, backend=backend, kubernetes=on)
    if dry_run not in (None, "client", "server"):
        raise BadStudy(f"--dry-run={dry_run}: expected client or server")
    if output not in (None, "yaml"):
        raise BadStudy(f"--output {output}: expected yaml")
    opened = store_from(current)
    used = backend_from(
        current,
        opened,
        workers=workers,
        image=image,
        allow_tag=allow_tag,
        retry_failed=retry_failed,
        max_live=max_live,
        folds_per_job=folds_per_job,
        wait=wait,
        dry_run_server=dry_run == "server",
        output=output,
        namespace=namespace,
    )
    plan = plan_from(PlanFlags(study, current.dataset, overrides or [], name, take_from), opened).plan
    options = SubmitOptions(workers=workers, retry_failed=retry_failed, allow_tag=allow_tag)
    # First, so that a template or setting that won't do leaves nothing behind.
    preview = used.preview(plan, options, ask_server=dry_run == "server")
    if output and preview.yaml is not None:
        typer.echo(preview.yaml(), nl=False)
    if dry_run or output:
        typer.echo(f"run {plan.run}: {preview.sentence()}; nothing was started", err=bool(output))
        return
    used.check_run(plan.run)
    plan = publish_plan(opened, plan)
    trials, folds = counted(len(plan.trials), "trial"), counted(plan.study.folds.k, "fold")
    typer.echo(f"run {plan.run}: {trials} x {folds} in {opened.url}")
    with FoldProgress() as progress:
        submitted = used.submit(plan, options, progress.update)
    for sentence in submitted.sentences:
        typer.echo(sentence)
    if submitted.complete:
        typer.echo(f"run {plan.run} is complete: rustk aggregate {plan.run}")
    elif wait:
        from rustk.cli.commands.wait import wait_for

        wait_for(used, opened, plan.run)
