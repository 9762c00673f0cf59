"""From the flags of `plan` and `submit` to a plan."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rustk.cli.context import load_study
from rustk.vocabulary.errors import BadStudy

if TYPE_CHECKING:
    from rustk.planning.plan import Plan
    from rustk.planning.study import Study
    from rustk.store import Store


StudyArgument = Annotated[str, typer.Argument(help="A study's name (see `rustk studies`), or the path of a YAML file.")]
NameOption = Annotated[str | None, typer.Option("--name", help="The run's id, instead of study and hash.")]
FromOption = Annotated[
    str | None, typer.Option("--from", metavar="RUN", help="Take the best trial's hyperparameters of this run.")
]


@dataclass(frozen=True)
class PlanFlags:
    """What the command line says of a plan."""

    study: str
    dataset: str | None
    overrides: list[str]
    name: str | None
    take_from: str | None


def plan_from(flags: PlanFlags, store: "Store") -> "Plan":
    """The plan of a study on a dataset of the store. Raises BadStudy or BadData."""
    from rustk.datasets.weights import resolve_weights
    from rustk.planning.plan import make_plan
    from rustk.store.datasets import choose_dataset, read_dataset, read_index

    study = load_study(flags.study, flags.overrides)
    taken_from = None
    if flags.take_from:
        study, taken_from = _take(study, flags.take_from, store)
    dataset = read_dataset(store, choose_dataset(store, flags.dataset))
    weights = resolve_weights(store, study.model.weights, study.model.architecture)
    return make_plan(study, dataset, read_index(store, dataset), weights, name=flags.name, taken_from=taken_from)


def _take(study: "Study", source: str, store: "Store") -> tuple["Study", dict[str, Any]]:
    """The study with the best trial's hyperparameters of an earlier run, and a record of what was taken from where."""
    from rustk.report.aggregate import aggregate
    from rustk.report.results import load_run
    from rustk.store.runs import find_run, load_plan

    run = find_run(store, source)
    plan = load_plan(store, run)
    results = load_run(store, run)
    if results.missing:
        raise BadStudy(
            f"--from {source}: {len(results.missing)} folds of run {run} are missing, so its best trial is not known: "
            f"finish it with `rustk submit {plan.study.name}`"
        )
    trial = int(aggregate(results).best["trial"])
    taken = plan.study.with_hyperparameters(plan.trials[trial]).hyperparameters
    chosen = study.taking(taken)
    used = {name: value for name, value in taken.items() if chosen.hyperparameters[name] == value}
    return chosen, {"run": run, "trial": trial, "hyperparameters": used}
