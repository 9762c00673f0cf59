"""`rustk final`: the chosen model, trained on all of develop and tested once."""

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
from rustk.cli.context import JsonOption, StoreOption, settings, store_from
from rustk.cli.run_choice import OneRunArgument
from rustk.vocabulary.errors import BadStudy, RustkError

if TYPE_CHECKING:
    from rustk.planning.plan import Plan
    from rustk.store import Store
    from rustk.store.card import Chosen


def final(
    run: OneRunArgument,
    trial: Annotated[
        int | None, typer.Option(help="Train this trial, not the best one.", min=0, show_default=False)
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Instead of what cross-validation chose.", min=1, max=10_000, show_default=False),
    ] = None,
    again: Annotated[
        str | None,
        typer.Option(metavar="WHY", help="Open the test split's seal although it was opened.", show_default=False),
    ] = None,
    with_images: Annotated[
        bool,
        typer.Option(
            "--with-images", help="Also store examples with heat maps: pictures of the test split's patients."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Open the seal without asking; for scripts.")] = False,
    backend: BackendOption = None,
    image: ImageOption = None,
    allow_tag: AllowTagOption = False,
    namespace: NamespaceOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Train a run's chosen trial on all of develop, for the epochs that cross-validation chose, save the model, and
    evaluate it on the sealed test split, once. It says which model that is, and asks before the seal is opened."""
    from rustk.backends.base import FinalRequest
    from rustk.report.data.final_choice import choose
    from rustk.store.datasets import check_sizes, read_dataset
    from rustk.store.documents import NamedDigest
    from rustk.store.run_list import find_run
    from rustk.store.runs import load_plan
    from rustk.store.seal import may_look
    from rustk.vocabulary.names import examples_key

    current = settings(store=store, backend=backend, kubernetes=on_cluster(namespace, image=image))
    opened = store_from(current)
    name = find_run(opened, run)
    used = backend_from(current, opened, image=image, allow_tag=allow_tag, namespace=namespace)
    # What the worker would refuse is refused here, before one is started.
    chosen = choose(opened, name, trial, epochs)
    plan = load_plan(opened, name)
    sealed = NamedDigest(name=plan.dataset, digest=plan.dataset_digest)
    standing = may_look(opened, sealed, name, chosen.trial, chosen.epochs, again)
    pictures_wanted = with_images and not opened.exists(examples_key(name))
    if standing.finished is None or pictures_wanted:
        check_sizes(opened, read_dataset(opened, plan.dataset), "test")
        if standing.finished is None and standing.taken is None:
            for line in _describe(opened, plan, chosen):
                typer.echo(line, err=json)
            _confirm(plan, yes)
        request = FinalRequest(
            given_trial=trial, given_epochs=epochs, again=again, allow_tag=allow_tag, with_images=with_images
        )
        used.train_final(plan, request, lambda line: typer.echo(line, err=json))
    _tell(opened, name, json=json)


def _describe(store: "Store", plan: "Plan", chosen: "Chosen") -> list[str]:
    """What is about to be tested, line by line."""
    from rustk.store.documents import NamedDigest
    from rustk.store.seal import list_looks, seal_sentence
    from rustk.vocabulary.wording import counted, written

    values = ", ".join(f"{name} {written(value)}" for name, value in plan.hyperparameters_of(chosen.trial).items())
    lines = [
        f"final model of run {plan.run} (study {plan.study.name}), to be tested on the sealed split of {plan.dataset}",
        f"  trial {chosen.trial} of {counted(len(plan.trials), 'trial')}, counted from 0: {values}",
        f"  {counted(chosen.epochs, 'epoch')}; chosen by: {chosen.by}",
    ]
    if chosen.val_auroc is not None:
        lines.append(f"  val_auroc {chosen.val_auroc:.4f}, the mean over {counted(plan.study.folds.k, 'fold')}")
    if (floor := _floor(store, plan)) is not None:
        lines.append(f"  {floor[0].lower()} {floor[1]:.4f}: what no look at the image reaches")
    looks = list_looks(store, NamedDigest(name=plan.dataset, digest=plan.dataset_digest))
    return [*lines, f"  {seal_sentence(looks)}"]


def _floor(store: "Store", plan: "Plan") -> tuple[str, float] | None:
    """What the floor is called and its val_auroc; None where the run's dataset is not in the store."""
    from rustk.report.data.cohort import develop_cohort
    from rustk.report.data.results import read_run_dataset
    from rustk.report.evaluation.evaluate import evaluate, resamples_of
    from rustk.report.evaluation.floor import floor_title, view_floor
    from rustk.store.runs import read_folds, read_run
    from rustk.vocabulary.names import folds_key

    dataset, index, _ = read_run_dataset(store, plan.run, read_run(store, plan.run))
    if dataset is None or index is None:
        return None
    cohort = develop_cohort(index, read_folds(store, plan.run).to_pandas(), dataset.instrument, folds_key(plan.run))
    # One resample: it is the figure that is wanted, not its interval.
    floor = evaluate(cohort, view_floor(cohort), resamples_of(cohort, 0, 1))
    return floor_title(dataset.instrument), floor["auroc_200"].value


def _confirm(plan: "Plan", yes: bool) -> None:
    """Ask, on a terminal, whether the seal is to be opened. Raises BadStudy where nobody can be asked, or says no."""
    if yes:
        return
    if not _on_terminal():
        raise BadStudy(
            f"final opens the sealed test split of {plan.dataset} for good, and there is no terminal to ask on: add "
            "--yes"
        )
    if not typer.confirm("Train this model, and open the seal?", err=True):
        raise RustkError("the seal was not opened, and nothing was trained")


def _on_terminal() -> bool:
    import sys

    return sys.stdin.isatty()


def _tell(store: "Store", run: str, *, json: bool) -> None:
    from rustk.report.evaluation.sealed import load_sealed_test
    from rustk.vocabulary.names import model_key

    sealed = load_sealed_test(store, run)
    if json:
        import json as json_module

        card = sealed.card.model_dump(mode="json", by_alias=True) if sealed.card else None
        openings = [opening.model_dump(mode="json", by_alias=True) for opening in sealed.openings]
        typer.echo(json_module.dumps({"card": card, "openings": openings}, indent=2))
        return
    rows = sealed.rows()
    width = max((len(title) for title, _, _ in rows), default=0)
    for title, value, interval in rows:
        typer.echo(f"{title:{width}} {value:>9}  ({interval})")
    if sentence := sealed.sentence():
        typer.echo(sentence)
    typer.echo(f"model {store.url}/{model_key(run)}, its card beside it; not for clinical use")
