"""`rustk weights`: pretrained backbone weights in the store, put there once, so that workers need no internet."""

from pathlib import Path
from typing import Annotated

import typer

from rustk.cli.context import JsonOption, StoreOption, settings, store_from
from rustk.vocabulary.errors import BadStudy

app = typer.Typer(help="Pretrained backbone weights in the store.", no_args_is_help=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What studies call them (model.weights): imagenet, radimagenet...")],
    file: Annotated[
        Path | None, typer.Argument(help="A .h5 or .keras file with the backbone's weights.", show_default=False)
    ] = None,
    architecture: Annotated[str, typer.Option(help="The backbone they are for.")] = "inception_v3",
    download: Annotated[bool, typer.Option("--download", help="Take Keras's own ImageNet weights.")] = False,
    store: StoreOption = None,
) -> None:
    """Check that a file fits the backbone, layer by layer, and put it into the store with its sha256."""
    if (file is None) != download:
        raise BadStudy("weights add: expected either a FILE or --download")
    if download and name != "imagenet":
        raise BadStudy(f"weights add {name} --download: Keras's own weights are imagenet's; others come from a FILE")
    from rustk.training.requirement import load_tensorflow

    load_tensorflow()
    from rustk.training.weights import add_weights, download_weights

    opened = store_from(settings(store=store))
    entry = download_weights(opened, name) if file is None else add_weights(opened, name, file, architecture)
    typer.echo(f"weights {entry.name} ({entry.architecture}, sha256 {entry.sha256[:12]}) are in {opened.url}")


@app.command("list")
def list_(store: StoreOption = None, json: JsonOption = False) -> None:
    """List the weights that the store has."""
    import json as json_module
    from dataclasses import asdict

    from rustk.datasets.weights import list_weights

    opened = store_from(settings(store=store))
    entries = list_weights(opened)
    if json:
        typer.echo(json_module.dumps([asdict(entry) for entry in entries], indent=2))
        return
    if not entries:
        typer.echo(f"{opened.url} has no weights; `rustk weights add` puts some there, and random ones need none")
    for entry in entries:
        typer.echo(f"{entry.name}  {entry.architecture}  {entry.bytes / 1e6:.1f} MB  {entry.sha256}  from {entry.file}")
