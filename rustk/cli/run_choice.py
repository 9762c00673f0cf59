"""Which run a command is about."""

from typing import TYPE_CHECKING, Annotated

import typer

from rustk.cli.completion import complete_run
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.wording import counted

if TYPE_CHECKING:
    from rustk.store import Store

RunArgument = Annotated[
    str | None,
    typer.Argument(
        help="A run, or the study of one; by default the run planned last.",
        show_default=False,
        autocompletion=complete_run,
    ),
]
OneRunArgument = Annotated[str, typer.Argument(help="A run, or the study of one.", autocompletion=complete_run)]


def chosen_run(store: "Store", run: str | None) -> str:
    """The run that is meant: by its id, by its study's name, or the one planned last. Raises BadStudy for none."""
    from rustk.store.run_list import find_run, list_runs

    if run is not None:
        return find_run(store, run)
    runs = list_runs(store)
    if not runs:
        raise BadStudy(f"the store {store.url} has no runs yet: start one with `rustk submit STUDY`")
    return runs[0].run


def check_fold(store: "Store", run: str, trial: int, fold: int) -> None:
    """Raise BadStudy for a fold that is not one of the run's."""
    from rustk.store.runs import read_run, search_of

    document = read_run(store, run)
    trials, folds = max(document.planned.trials, search_of(document).trials), document.planned.folds
    if not (trial < trials and fold < folds):
        has = f"{counted(trials, 'trial')} of {counted(folds, 'fold')}"
        raise BadStudy(f"run {run} has no trial {trial} fold {fold}: it has {has}, counted from 0")
