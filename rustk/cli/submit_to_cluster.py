"""`rustk submit` on a cluster."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from rustk.vocabulary.errors import BadStudy

if TYPE_CHECKING:
    from rustk.cluster.submit import Submitted
    from rustk.planning.plan import Plan
    from rustk.store import Store
    from rustk.vocabulary.settings import Settings


@dataclass(frozen=True)
class ClusterFlags:
    """What the command line says of a submit to a cluster. dry_run: client or server; output: yaml."""

    dry_run: str | None
    output: str | None
    retry_failed: bool
    allow_tag: bool
    wait: bool


def submit_to_cluster(store: "Store", planned: "Plan", current: "Settings", flags: ClusterFlags) -> None:
    """Render every Job of a plan; then print them, have them checked, or create those that are missing."""
    from rustk.cli.cluster import cluster_from
    from rustk.cluster.creating import validate
    from rustk.cluster.rendering import render_run
    from rustk.cluster.submit import submit_run
    from rustk.store.runs import publish_plan

    if flags.dry_run not in (None, "client", "server"):
        raise BadStudy(f"--dry-run={flags.dry_run}: expected client or server")
    if flags.output not in (None, "yaml"):
        raise BadStudy(f"--output {flags.output}: expected yaml")
    if flags.dry_run is None and flags.output is None:
        # Rendered first, so that a template or setting that won't do leaves nothing behind.
        render_run(planned, current, allow_tag=flags.allow_tag)
        planned = publish_plan(store, planned)
    jobs = render_run(planned, current, allow_tag=flags.allow_tag)
    if flags.output == "yaml":
        from rustk.planning.manifests import to_yaml

        typer.echo(to_yaml(jobs), nl=False)
    if flags.dry_run == "server":
        validate(cluster_from(current), jobs[0])
    if flags.dry_run or flags.output:
        checked = ", and the API server would take them" if flags.dry_run == "server" else ""
        typer.echo(f"run {planned.run}: {len(jobs)} Jobs{checked}; nothing was created", err=True)
        return
    typer.echo(f"run {planned.run}: {len(planned.trials)} trials x {planned.study.folds.k} folds in {store.url}")
    submitted = submit_run(
        cluster_from(current),
        store,
        planned,
        jobs,
        retry_failed=flags.retry_failed,
        max_live=current.kubernetes.max_live,
    )
    _tell(submitted, planned, current)
    if flags.wait:
        from rustk.cli.wait import wait_for

        wait_for(store, current, planned.run)


def _tell(submitted: "Submitted", planned: "Plan", current: "Settings") -> None:
    found = submitted.decision
    namespace = current.kubernetes.namespace
    live = found.live + submitted.existing
    typer.echo(f"{submitted.created} Jobs created in namespace {namespace}; {found.done} folds done, {live} Jobs live")
    if found.failed:
        trial, fold = found.failed[0]
        first = f"trial {trial} fold {fold}" + (", ..." if len(found.failed) > 1 else "")
        typer.echo(f"{len(found.failed)} folds failed ({first}): see rustk status; --retry-failed tries them again")
    if found.held:
        typer.echo(
            f"{found.held} more wait for room below max_live = {current.kubernetes.max_live}: "
            f"rustk wait {planned.run} --max-live {current.kubernetes.max_live} creates them as others end"
        )
    if submitted.created or live:
        typer.echo(f"watch it: rustk status {planned.run} --watch")
        columns = "-L rustk.dev/trial,rustk.dev/fold"
        typer.echo(f"      or: kubectl -n {namespace} get jobs -l rustk.dev/run={planned.run} {columns}")
    elif found.done == len(planned.tasks):
        typer.echo(f"run {planned.run} is complete: rustk aggregate {planned.run}")
