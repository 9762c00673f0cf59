"""`rustk logs`: what the worker of a fold printed."""

from typing import Annotated

import typer

from rustk.cli.backend_options import BackendOption, NamespaceOption, backend_from, on_cluster
from rustk.cli.context import StoreOption, settings, store_from
from rustk.cli.run_choice import OneRunArgument, check_fold, chosen_run


def logs(
    run: OneRunArgument,
    trial: Annotated[int, typer.Option(help="Which trial, from 0.", min=0)] = 0,
    fold: Annotated[int, typer.Option(help="Which fold, from 0.", min=0)] = 0,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the fold ends.")] = False,
    backend: BackendOption = None,
    namespace: NamespaceOption = None,
    store: StoreOption = None,
) -> None:
    """Print what the worker of a fold has printed, the last time that the fold was tried."""
    current = settings(store=store, backend=backend, kubernetes=on_cluster(namespace))
    opened = store_from(current)
    used = backend_from(current, opened, namespace=namespace)
    name = chosen_run(opened, run)
    check_fold(opened, name, trial, fold)
    for line in used.logs(name, trial, fold, follow=follow):
        typer.echo(line)
