"""`rustk cancel`: end what is at work on a run."""

from typing import Annotated

import typer

from rustk.cli.backend_options import BackendOption, NamespaceOption, backend_from, on_cluster
from rustk.cli.context import StoreOption, settings, store_from
from rustk.cli.run_choice import OneRunArgument, chosen_run

_WAIT_SECONDS = 60.0


def cancel(
    run: OneRunArgument,
    wait: Annotated[bool, typer.Option(help="Wait until all has stopped.")] = True,
    backend: BackendOption = None,
    namespace: NamespaceOption = None,
    store: StoreOption = None,
) -> None:
    """End whatever trains folds of a run. Its results stay; submitting again goes on from them."""
    current = settings(store=store, backend=backend, kubernetes=on_cluster(namespace))
    opened = store_from(current)
    used = backend_from(current, opened, namespace=namespace)
    cancelled = used.cancel(
        chosen_run(opened, run),
        wait_seconds=_WAIT_SECONDS if wait else 0.0,
        tell=lambda line: typer.echo(line, err=True),
    )
    typer.echo(cancelled.sentence)
    if cancelled.still_stopping and wait:
        typer.echo(f"still stopping after {_WAIT_SECONDS:.0f} s: {cancelled.still_stopping}", err=True)
