"""`rustk studies`: which studies ship with rustk."""

from typing import Annotated, Any

import typer

from rustk.cli.context import JsonOption, load_study, study_names


def studies(
    fields: Annotated[bool, typer.Option("--fields", help="List the fields of a study's file instead.")] = False,
    json: JsonOption = False,
) -> None:
    """List the studies that ship with rustk. One of your own runs by its path."""
    if fields:
        _print_fields(json=json)
        return
    found: list[dict[str, Any]] = []
    for name in study_names():
        study = load_study(name)
        trials = len(study.trials())
        found.append(
            {
                "study": name,
                "title": study.title,
                "description": study.description,
                "weights": study.model.weights,
                "trials": trials,
                "folds": study.folds.k,
                "epochs": study.training.epochs,
            }
        )
    if json:
        import json as json_module

        typer.echo(json_module.dumps(found, indent=2))
        return
    from rich.console import Console
    from rich.table import Column, Table

    # Names are to be typed, so that they are never cut.
    table = Table(
        Column("study", no_wrap=True), "what it is", "weights", "trials", "folds", "epochs", box=None, pad_edge=False
    )
    for row in found:
        table.add_row(
            row["study"], row["description"], row["weights"], str(row["trials"]), str(row["folds"]), str(row["epochs"])
        )
    Console().print(table)


def _print_fields(*, json: bool) -> None:
    from dataclasses import asdict

    from rustk.planning.fields import describe_fields

    found = describe_fields()
    if json:
        import json as json_module

        typer.echo(json_module.dumps([asdict(field) for field in found], indent=2))
        return
    for field in found:
        default = f" (default: {field.default})" if field.default else ""
        typer.echo(f"{field.path}: {field.expected}{default}")
        if field.meaning:
            typer.echo(f"    {field.meaning}")
