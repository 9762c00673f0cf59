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

    from rustk.planning.cost import estimate_trials_cost
    from rustk.searching.run_search import RunSearch
    from rustk.training.backbones import find_backbone
    from rustk.training.objectives import find_objective
    from rustk.training.own_backbone import missing_module

    current = settings(store=store, dataset=dataset)
    opened = store_from(current)
    found = plan_from(PlanFlags(study, current.dataset, overrides or [], name, take_from), opened)
    planned = found.plan
    cost = estimate_trials_cost(
        planned.study,
        planned.trials,
        all_trials=planned.all_trials,
        images=len(planned.sample_ids),
        outputs_of=lambda study: find_objective(study.model.objective, planned.instrument).outputs,
        backbone_of=lambda study: find_backbone(study.model.architecture).cost(found.image_shape, study.model.pooling),
    )
    # Nothing is decided, but what was is checked: a submit would refuse what does not follow.
    so_far = RunSearch(opened, planned, writes=False).next()
    done, dropped = len(so_far.done & set(so_far.plan.tasks)), len(so_far.dropped)
    for architecture in planned.study.possible("model.architecture"):
        if module := missing_module(architecture):
            typer.echo(
                f"warning: model.architecture = {architecture}: there is no module {module} here, so that its function "
                "was not called: workers must have it",
                err=True,
            )
    if json:
        typer.echo(json_module.dumps(_described(planned, cost, done, dropped), indent=2))
        return
    for title, text in _lines(planned, cost, done, dropped, found.image_shape):
        typer.echo(f"{title:<11} {text}")


def _lines(
    planned: "Plan", cost: "Cost", done: int, dropped: int, image_shape: tuple[int, int, int]
) -> list[tuple[str, str]]:
    model, training, folds = planned.study.model, planned.study.training, planned.study.folds
    searched = list(planned.trials[0])
    count = planned.all_trials
    batches = f", asked for in batches of {len(planned.trials)}" if count > len(planned.trials) else ""
    fixed = {name: value for name, value in planned.study.hyperparameters.items() if name not in searched}
    backbone = "trained" if model.trainable else "frozen"
    if not isinstance(model.trainable, bool):
        backbone = f"last {model.trainable} block{'s' * (model.trainable > 1)} trained"
    ended = f", {dropped} dropped" if dropped else ""
    lines = [
        ("run", planned.run),
        (
            "dataset",
            f"{planned.dataset}: {len(planned.sample_ids)} images of {image_shape[0]}x{image_shape[1]} to develop on, "
            f"scored by {planned.instrument.name}",
        ),
        ("model", f"{model.architecture}, {backbone}, weights {model.weights}, objective {model.objective}"),
        ("training", f"{training.epochs} epoch{'s' * (training.epochs != 1)}, {_values(fixed)}"),
        ("search", f"{', '.join(searched) or 'nothing'}: {count} trial{'s' * (count != 1)}{batches}"),
        ("folds", f"{folds.k} by {folds.scheme}: {count * folds.k} in all, {done} done{ended}"),
        ("cost", cost.sentence()),
    ]
    if (raced := _race(planned)) is not None:
        lines.insert(-1, ("race", raced))
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


def _race(planned: "Plan") -> str | None:
    """What a race may cost, in folds; None without one."""
    from rustk.planning.rounds import race_bounds

    search = planned.study.search
    if search is None or search.race is None:
        return None
    bounds = race_bounds(planned.study, planned.all_trials)
    return (
        f"{search.race.kind}: at least {bounds.least} folds ({bounds.least / bounds.most:.0%} of the cost below), "
        f"fewer only where trials diverge, and at most {bounds.most}"
    )


def _values(values: dict[str, Any]) -> str:
    from rustk.vocabulary.wording import written

    return ", ".join(f"{name} {written(value)}" for name, value in values.items())


def _described(planned: "Plan", cost: "Cost", done: int, dropped: int) -> dict[str, Any]:
    """The plan for a script."""
    from rustk.planning.rounds import race_bounds

    return {
        "run": planned.run,
        "study": planned.study.model_dump(mode="json"),
        "dataset": {"name": planned.dataset, "digest": planned.dataset_digest},
        "instrument": planned.instrument.name,
        "weights": {"name": planned.study.model.weights, "sha256": planned.weights_sha256},
        "taken_from": planned.taken_from,
        "trials": [dict(trial) for trial in planned.trials],
        "folds": planned.study.folds.k,
        "fold_tasks": planned.all_trials * planned.study.folds.k,
        "fewest_fold_tasks": race_bounds(planned.study, planned.all_trials).least,
        "done": done,
        "dropped": dropped,
        "images_per_fold": [int((planned.fold_of == fold).sum()) for fold in range(planned.study.folds.k)],
        "cost": cost.as_dict(),
    }
