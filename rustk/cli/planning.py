"""From the flags of `plan` and `submit` to a plan."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rustk.cli.completion import complete_run, complete_study
from rustk.cli.context import dataset_from, load_study, read_study_file
from rustk.vocabulary.errors import BadStudy

if TYPE_CHECKING:
    from rustk.planning.cost import BackboneCost
    from rustk.planning.plan import Plan
    from rustk.planning.study import Study
    from rustk.store import Store


StudyArgument = Annotated[
    str,
    typer.Argument(
        help="A study's name (see `rustk studies`), or the path of a YAML file.", autocompletion=complete_study
    ),
]
NameOption = Annotated[str | None, typer.Option("--name", help="The run's id, instead of study and hash.")]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="RUN",
        help="Take the best trial's hyperparameters of this run.",
        autocompletion=complete_run,
    ),
]


@dataclass(frozen=True)
class PlanFlags:
    """What the command line says of a plan."""

    study: str
    dataset: str | None
    overrides: list[str]
    name: str | None
    take_from: str | None


@dataclass(frozen=True)
class Planned:
    """A plan with what its backbone costs on one image; None: the user's own, whose cost is not known."""

    plan: "Plan"
    backbone_cost: "BackboneCost | None"
    image_shape: tuple[int, int, int]


def plan_from(flags: PlanFlags, store: "Store") -> Planned:
    """The plan of a study on a dataset of the store. Raises BadStudy or BadData.

    What would fail in every fold (a backbone that can't take the images, or can't be imported) fails here.
    """
    from rustk.planning.plan import make_plan
    from rustk.store.datasets import check_unchanged, read_dataset, read_index
    from rustk.store.runs import planned_before
    from rustk.training.backbones import find_backbone

    study = load_study(flags.study, flags.overrides)
    taken_from = None
    if flags.take_from is not None:
        study, taken_from = _take(study, flags, flags.take_from, store)
    dataset = read_dataset(store, dataset_from(store, flags.dataset))
    with _of_file(flags):
        weights_sha256 = _check_backbones(study, dataset.image_shape, store)
        check_unchanged(dataset)
        backbone = find_backbone(study.possible("model.architecture")[0])
        plan = make_plan(
            study,
            read_index(store, dataset),
            dataset=dataset.name,
            dataset_digest=dataset.digest,
            instrument=dataset.instrument,
            weights_sha256=weights_sha256,
            name=flags.name,
            taken_from=taken_from,
        )
    planned_before(store, plan)  # a submit would refuse to go on with another study's run
    return Planned(plan, backbone.cost(dataset.image_shape, study.model.pooling), dataset.image_shape)


@contextlib.contextmanager
def _of_file(flags: PlanFlags) -> Iterator[None]:
    """Have what is wrong with a field of the study, given the dataset, begin with the file that the field is from."""
    try:
        yield
    except BadStudy as error:
        if not re.match(r"(model|training|folds|search)\b", str(error)):
            raise
        _, source = read_study_file(flags.study)
        raise BadStudy(f"{source}{' with --set' if flags.overrides else ''}: {error}") from None


def _check_backbones(study: "Study", image_shape: tuple[int, int, int], store: "Store") -> str | None:
    """The sha256 of the study's weights, None for drawn ones. Raises BadStudy for a backbone of any of its trials that
    can't be built on such images, or that the weights are not of."""
    from rustk.store.weights import resolve_weights
    from rustk.training.backbones import find_backbone

    weights_sha256 = None
    poolings = study.possible("model.pooling")
    for architecture in study.possible("model.architecture"):
        backbone, model = find_backbone(architecture), study.model.model_copy(update={"architecture": architecture})
        try:
            backbone.check(model, image_shape)
            weights_sha256 = resolve_weights(store, model.weights, architecture)
        except BadStudy as error:
            if architecture == study.model.architecture:
                raise
            raise BadStudy(f"search.parameters.model.architecture: {error}") from None
        costs = [backbone.cost(image_shape, pooling) for pooling in poolings]
        if len(costs) > 1 and len({cost.features for cost in costs if cost is not None}) == 1:
            height, width, _ = image_shape
            raise BadStudy(
                f"search.parameters.model.pooling: it has no effect: of images of {height}x{width}, the feature map of "
                f"{architecture} has a single place"
            )
    return weights_sha256


def _take(study: "Study", flags: PlanFlags, source: str, store: "Store") -> tuple["Study", dict[str, Any]]:
    """The study with the best trial's hyperparameters of an earlier run, and a record of what was taken from where.

    What --set gives is not taken.
    """
    from rustk.planning.resolving import given_paths, overlap
    from rustk.planning.searchable import SEARCHABLE
    from rustk.report.data.aggregate import aggregate
    from rustk.report.data.results import load_run
    from rustk.store.run_list import find_run
    from rustk.store.runs import load_plan
    from rustk.vocabulary.checking import clip

    try:
        run = find_run(store, source)
    except BadStudy as error:
        raise BadStudy(f"--from {clip(source)}: {error}") from None
    plan = load_plan(store, run)
    results = load_run(store, run)
    if results.missing:
        raise BadStudy(
            f"--from {source}: {len(results.missing)} of {len(plan.tasks)} folds of run {run} are missing, so its best "
            f"trial is not known: finish it with `rustk submit {plan.study.name}`"
        )
    if results.trials_to_come:
        raise BadStudy(
            f"--from {source}: the search of run {run} is not over: it will ask for {results.trials_to_come} more "
            f"trials, so its best trial is not known: finish it with `rustk submit {plan.study.name}`"
        )
    best = aggregate(results).best
    trial = int(best["trial"])
    taken = plan.hyperparameters_of(trial)
    set_here = given_paths(flags.overrides)
    own = {name for name in taken if any(overlap(SEARCHABLE[name].path, path) for path in set_here)}
    chosen = study.taking(taken, own)
    used = {name: value for name, value in taken.items() if name not in own and chosen.hyperparameter(name) == value}
    figure = float(best["val_auroc"])
    return chosen, {"run": run, "trial": trial, "hyperparameters": used, "val_auroc": figure}
