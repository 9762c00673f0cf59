"""`rustk fold`: one fold of a run."""

from typing import TYPE_CHECKING, Annotated

import typer

from rustk.cli.backend_options import (
    AllowTagOption,
    BackendOption,
    ImageOption,
    NamespaceOption,
    backend_from,
    on_cluster,
)
from rustk.cli.context import StoreOption, settings, store_from
from rustk.cli.run_choice import OneRunArgument, check_fold, chosen_run
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.wording import counted

if TYPE_CHECKING:
    from rustk.report.data.redone import Comparison

app = typer.Typer(help="One fold of a run.", no_args_is_help=True)
_SHOWN = 5


@app.callback()
def _group() -> None:
    """One fold of a run."""


@app.command()
def redo(
    run: OneRunArgument,
    trial: Annotated[int, typer.Option(help="Which trial, from 0.", min=0)],
    fold: Annotated[int, typer.Option(help="Which fold, from 0.", min=0)],
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Make the new history the run's; the former one is kept.")
    ] = False,
    backend: BackendOption = None,
    namespace: NamespaceOption = None,
    image: ImageOption = None,
    allow_tag: AllowTagOption = False,
    store: StoreOption = None,
) -> None:
    """Train a finished fold once more, and compare the two: the new history is kept beside the run's own."""
    current = settings(store=store, backend=backend, kubernetes=on_cluster(namespace, image=image))
    opened = store_from(current)
    used = backend_from(current, opened, namespace=namespace, image=image, allow_tag=allow_tag)
    from rustk.backends.base import AgainRequest
    from rustk.planning.rounds import dropped_folds
    from rustk.report.data.redone import adopt_redone, compare_redone, last_number
    from rustk.store.rounds import read_rounds
    from rustk.store.runs import load_plan
    from rustk.vocabulary import names

    name = chosen_run(opened, run)
    plan = load_plan(opened, name)
    check_fold(opened, name, trial, fold)
    if not opened.exists(names.history_key(name, trial, fold)):
        at = f"run {name}: trial {trial} fold {fold}"
        if (trial, fold) in dropped_folds(read_rounds(opened, name), plan.study.folds.k):
            raise BadStudy(f"{at} was left out by the race, so that there is no history to compare with")
        raise BadStudy(
            f"{at} has no history to compare with: submit the run again, with the options that it had, to train it"
        )
    number = last_number(opened, name, trial, fold) + 1
    used.train_again(plan, AgainRequest(trial, fold, number, allow_tag), lambda line: typer.echo(line, err=True))
    for line in _sentences(compare_redone(opened, name, trial, fold, number), trial, fold):
        typer.echo(line)
    if adopt:
        adopt_redone(opened, name, trial, fold, number)
        typer.echo(f"it is the run's now; the former one is {names.redone_history_key(name, trial, fold, 0)}")
    else:
        typer.echo(f"the run keeps its own; the new one is {names.redone_history_key(name, trial, fold, number)}")


def _sentences(found: "Comparison", trial: int, fold: int) -> list[str]:
    where = f"trial {trial} fold {fold}"
    epochs = counted(found.epochs, "epoch")
    if found.equal:
        every = " and in every prediction" if found.with_predictions else "; the run has no predictions of it"
        return [f"{where}: equal bit for bit in {epochs}{every}"]
    lines = [f"{where}: not equal: {found.shape}"] if found.shape else []
    if found.differences:
        largest = found.differences[0]
        lines.append(f"{where}: not equal; the largest difference is {largest.size:.3g}, of {largest.metric}")
        lines += [f"  {one.metric}: {one.size:.3g} at epoch {one.epoch}" for one in found.differences[:_SHOWN]]
        if (more := len(found.differences) - _SHOWN) > 0:
            lines.append(f"  (and {more} more, smaller)")
    lines += [f"  {said}" for said in found.setting]
    return lines
