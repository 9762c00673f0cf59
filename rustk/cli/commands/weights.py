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
    architecture: Annotated[
        str | None,
        typer.Option(
            help="The backbone they are for, or package.module:function of your own.",
            show_default="the one that NAME says, else inception_v3",
        ),
    ] = None,
    download: Annotated[bool, typer.Option("--download", help="Take Keras's own ImageNet weights.")] = False,
    from_package: Annotated[
        bool, typer.Option("--from-package", help="Take those that an installed package carries (efficientnet_lite0).")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace other weights of this name.")] = False,
    store: StoreOption = None,
) -> None:
    """Check that a file fits the backbone, layer by layer, and put it into the store with its sha256."""
    if (file is not None) + download + from_package != 1:
        raise BadStudy("weights add: expected one of a FILE, --download and --from-package")
    from rustk.store.weights import check_weights_file, check_weights_name
    from rustk.training.backbones import find_backbone
    from rustk.training.requirement import load_tensorflow
    from rustk.vocabulary.kinds import kinds

    check_weights_name(name)
    if architecture is None:
        said = name.replace("-", "_")
        architecture = said if said in kinds("training/backbones") else "inception_v3"
    find_backbone(architecture, "--architecture")
    if file is not None:
        check_weights_file(file)  # before TensorFlow is loaded, which takes seconds
    opened = store_from(settings(store=store))
    load_tensorflow()
    from rustk.training.weights import add_packaged_weights, add_weights, download_weights

    if file is not None:
        entry = add_weights(opened, name, file, architecture, replace=replace)
    else:
        put = download_weights if download else add_packaged_weights
        entry = put(opened, name, architecture, replace=replace)
    typer.echo(f"weights {entry.name} ({entry.architecture}, sha256 {entry.sha256[:12]}) are in {opened.url}")


@app.command("list")
def list_(store: StoreOption = None, json: JsonOption = False) -> None:
    """List the weights that the store has."""
    import json as json_module

    from rustk.store.weights import list_weights

    opened = store_from(settings(store=store))
    entries = list_weights(opened)
    if json:
        typer.echo(json_module.dumps([entry.model_dump(mode="json", by_alias=True) for entry in entries], indent=2))
        return
    if not entries:
        typer.echo(f"{opened.url} has no weights; `rustk weights add` puts some there, and random ones need none")
        return
    from rich.console import Console
    from rich.table import Column, Table

    table = Table(
        Column("weights", no_wrap=True), "architecture", Column("MB", justify="right"), "sha256", "made of",
        box=None, pad_edge=False,
    )  # fmt: skip
    for entry in entries:
        table.add_row(entry.name, entry.architecture, f"{entry.bytes / 1e6:.1f}", entry.sha256[:12], entry.file)
    Console().print(table)
