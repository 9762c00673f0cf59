"""`rustk logs`: what the container of a fold printed."""

from typing import Annotated

import typer

from rustk.cli.cluster import NamespaceOption, cluster_from, on_cluster
from rustk.cli.context import StoreOption, settings, store_from
from rustk.cli.observing import run_name


def logs(
    run: Annotated[str, typer.Argument(help="A run, or a study's name.")],
    trial: Annotated[int, typer.Option(help="Which trial, from 0.", min=0)] = 0,
    fold: Annotated[int, typer.Option(help="Which fold, from 0.", min=0)] = 0,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the fold ends.")] = False,
    namespace: NamespaceOption = None,
    store: StoreOption = None,
) -> None:
    """Print the log of a fold's latest pod."""
    from rustk.cluster.logs import fold_log
    from rustk.local.live import state_dir
    from rustk.vocabulary.errors import BadStudy

    current = settings(store=store, kubernetes=on_cluster(namespace))
    opened = store_from(current)
    name = run_name(opened, run)
    if current.backend == "local":
        raise BadStudy(f"backend = local: the workers' logs lie in {state_dir(opened.url, name)}")
    for line in fold_log(cluster_from(current), name, trial, fold, follow=follow):
        typer.echo(line)
