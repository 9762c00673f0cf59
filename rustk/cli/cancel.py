"""`rustk cancel`: end a run's Jobs."""

from typing import Annotated

import typer

from rustk.cli.cluster import NamespaceOption, cluster_from, on_cluster
from rustk.cli.context import StoreOption, settings, store_from
from rustk.cli.observing import run_name


def cancel(
    run: Annotated[str, typer.Argument(help="A run, or a study's name.")],
    wait: Annotated[bool, typer.Option(help="Wait until the pods have stopped.")] = True,
    namespace: NamespaceOption = None,
    store: StoreOption = None,
) -> None:
    """Delete a run's Jobs and pods from the cluster. Its results stay; submitting again goes on from them."""
    from rustk.cluster.cancel import cancel_run
    from rustk.vocabulary.errors import BadStudy

    current = settings(store=store, kubernetes=on_cluster(namespace))
    if current.backend == "local":
        raise BadStudy("backend = local: stop a run on this machine with Ctrl-C in the terminal that runs it")
    name = run_name(store_from(current), run)
    cancelled = cancel_run(cluster_from(current), name, wait_seconds=60.0 if wait else 0.0)
    typer.echo(f"run {name}: {cancelled.jobs} Jobs are deleted; what is done stays in the store")
    if cancelled.pods_left and wait:
        typer.echo(f"{cancelled.pods_left} pods are still stopping", err=True)
