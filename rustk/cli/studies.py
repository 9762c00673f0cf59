"""`rustk studies`: which studies ship with rustk."""

from typing import Any

import typer

from rustk.cli.context import JsonOption, load_study, study_names


def studies(json: JsonOption = False) -> None:
    """List the studies that ship with rustk. One of your own runs by its path."""
    found: list[dict[str, Any]] = []
    for name in study_names():
        study = load_study(name)
        trials = _trial_count(study)
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
    from rich.table import Table

    table = Table("study", "what it is", "weights", "trials", "folds", "epochs", box=None, pad_edge=False)
    for row in found:
        table.add_row(
            row["study"], row["description"], row["weights"], str(row["trials"]), str(row["folds"]), str(row["epochs"])
        )
    Console().print(table)


def _trial_count(study: Any) -> int:
    from rustk.planning.search import draw_trials

    return len(draw_trials(study))
