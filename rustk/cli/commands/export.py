"""`rustk export`: a run for other tools."""

from pathlib import Path
from typing import Annotated

import typer

from rustk.cli.context import StoreOption, settings, store_from
from rustk.cli.image_progress import image_progress
from rustk.cli.run_choice import OneRunArgument, chosen_run

app = typer.Typer(help="A run for other tools: MLflow, TensorBoard.", no_args_is_help=True)


@app.command()
def mlflow(
    run: OneRunArgument,
    tracking_uri: Annotated[
        str,
        typer.Option(help="Address of a server, or sqlite:///FILE.", envvar="MLFLOW_TRACKING_URI", show_default=False),
    ],
    experiment: Annotated[
        str | None, typer.Option(help="MLflow's experiment; by default the study's name.", show_default=False)
    ] = None,
    store: StoreOption = None,
) -> None:
    """Bring MLflow up to date with a run: a run a trial, a child a fold, the report and the final model.

    Running it again adds what is new and nothing else. Needs rustk[mlflow].
    """
    opened = store_from(settings(store=store))
    name = chosen_run(opened, run)
    from rustk.exports.content import run_content
    from rustk.exports.mlflow import export_mlflow
    from rustk.report.data.results import load_run
    from rustk.vocabulary.wording import counted

    content = run_content(load_run(opened, name))
    with image_progress("runs of MLflow") as tell:
        done = export_mlflow(opened, content, tracking_uri, experiment, tell)
    typer.echo(
        f"run {name}: {counted(done.made, 'run')} made in the experiment {done.experiment} of {tracking_uri}, "
        f"{done.kept} up to date"
    )
    if not done.report:
        typer.echo(f"it has no report yet: rustk aggregate {name}, then export it again")


@app.command()
def tensorboard(
    run: OneRunArgument,
    folder: Annotated[Path, typer.Argument(help="Where to write; one folder a fold below it.")],
    store: StoreOption = None,
) -> None:
    """Write a run's metrics as event files: tensorboard --logdir FOLDER shows them."""
    from rustk.cli.output_folder import check_folder

    opened = store_from(settings(store=store))
    check_folder(folder, opened.url, "FOLDER")
    name = chosen_run(opened, run)
    from rustk.exports.content import run_content
    from rustk.exports.tensorboard import export_tensorboard
    from rustk.report.data.results import load_run
    from rustk.vocabulary.wording import counted

    content = run_content(load_run(opened, name))
    with image_progress("event files") as tell:
        written = export_tensorboard(content, folder, tell)
    folds = len(content.results.fold_metadata)
    typer.echo(f"run {name}: {counted(folds, 'fold')} in {folder / name}, {written} of them new or changed")
