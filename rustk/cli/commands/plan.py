"""`rustk plan`: what a submit would run, and what it would cost."""

from typing import TYPE_CHECKING, Any

import typer

from rustk.cli.context import DatasetOption, JsonOption, SetOption, StoreOption, settings, store_from
from rustk.cli.planning import FromOption, NameOption, PlanFlags, StudyArgument, plan_from

if TYPE_CHECKING:
    from rustk.planning.cost import Cost
    from rustk.planning.plan import Plan


def plan(
    study: StudyArgument,
    dataset: DatasetOption = None,
    overrides: SetOption = None,
    name: NameOption = None,
    take_from: FromOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show what `submit` would run: trials, folds, and how much there is to compute. Writes nothing."""
    import json as json_module

    from rustk.planning.cost import estimate_cost
    from rustk.store.runs import done_tasks
    from rustk.training.objectives import find_objective

    current = settings(store=store, dataset=dataset)
    opened = store_from(current)
    found = plan_from(PlanFlags(study, current.dataset, overrides or [], name, take_from), opened)
    planned = found.plan
    cost = estimate_cost(
        planned.study,
        trials=len(planned.trials),
        images=len(planned.sample_ids),
        outputs=find_objective(planned.study.model.objective, planned.instrument).outputs,
        backbone=found.backbone_cost,
    )
    done = len(done_tasks(opened, planned.run) & set(planned.tasks))
    if json:
        typer.echo(json_module.dumps(_described(planned, cost, done), indent=2))
        return
    for title, text in _lines(planned, cost, done, found.image_shape):
        typer.echo(f"{title:<11} {text}")


def _lines(planned: "Plan", cost: "Cost", done: int, image_shape: tuple[int, int, int]) -> list[tuple[str, str]]:
    model, training, folds = planned.study.model, planned.study.training, planned.study.folds
    searched = list(planned.trials[0])
    count = len(planned.trials)
    fixed = {name: value for name, value in planned.study.hyperparameters.items() if name not in searched}
    backbone = "trained" if model.trainable else "frozen"
    lines = [
        ("run", planned.run),
        (
            "dataset",
            f"{planned.dataset}: {len(planned.sample_ids)} images of {image_shape[0]}x{image_shape[1]} to develop on, "
            f"scored by {planned.instrument.name}",
        ),
        ("model", f"{model.architecture}, {backbone}, weights {model.weights}, objective {model.objective}"),
        ("training", f"{training.epochs} epoch{'s' * (training.epochs != 1)}, {_values(fixed)}"),
        ("search", f"{', '.join(searched) or 'nothing'}: {count} trial{'s' * (count != 1)}"),
        ("folds", f"{folds.k} by {folds.scheme}: {len(planned.tasks)} in all, {done} done"),
        ("cost", cost.sentence()),
    ]
    if planned.taken_from is not None:
        taken = planned.taken_from
        lines.insert(
            1,
            (
                "taken from",
                f"run {taken['run']}, trial {taken['trial']} (mean val_auroc {taken['val_auroc']:.4f}): "
                f"{_values(taken['hyperparameters']) or 'nothing: this study searches them all'}",
            ),
        )
    return lines


def _values(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items())


def _described(planned: "Plan", cost: "Cost", done: int) -> dict[str, Any]:
    """The plan for a script."""
    return {
        "run": planned.run,
        "study": planned.study.model_dump(mode="json"),
        "dataset": {"name": planned.dataset, "digest": planned.dataset_digest},
        "instrument": planned.instrument.name,
        "weights": {"name": planned.study.model.weights, "sha256": planned.weights_sha256},
        "taken_from": planned.taken_from,
        "trials": [dict(trial) for trial in planned.trials],
        "folds": planned.study.folds.k,
        "fold_tasks": len(planned.tasks),
        "done": done,
        "images_per_fold": [int((planned.fold_of == fold).sum()) for fold in range(planned.study.folds.k)],
        "cost": cost.as_dict(),
    }
