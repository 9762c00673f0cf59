"""`rustk plan`: what a submit would run, and what it would cost."""

import typer

from rustk.cli.context import DatasetOption, JsonOption, SetOption, StoreOption, settings, store_from
from rustk.cli.planning import FromOption, NameOption, PlanFlags, StudyArgument, plan_from


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
    from rustk.store.datasets import read_dataset
    from rustk.store.runs import done_tasks

    current = settings(store=store, dataset=dataset)
    opened = store_from(current)
    planned = plan_from(PlanFlags(study, current.dataset, overrides or [], name, take_from), opened)
    image_shape = read_dataset(opened, planned.dataset["name"])["image_shape"]
    cost = estimate_cost(planned.study, planned.trials, len(planned.sample_ids), image_shape)
    done = len(done_tasks(opened, planned.run) & set(planned.tasks))
    described = {
        "run": planned.run,
        "study": planned.study.model_dump(mode="json"),
        "dataset": dict(planned.dataset),
        "weights": dict(planned.weights),
        "taken_from": planned.taken_from,
        "trials": [dict(trial) for trial in planned.trials],
        "folds": planned.study.folds.k,
        "fold_tasks": len(planned.tasks),
        "done": done,
        "images_per_fold": [int((planned.fold_of == fold).sum()) for fold in range(planned.study.folds.k)],
        "cost": cost.as_dict(),
    }
    if json:
        typer.echo(json_module.dumps(described, indent=2))
        return
    searched = ", ".join(planned.trials[0]) or "nothing"
    typer.echo(f"run       {planned.run}")
    typer.echo(f"dataset   {planned.dataset['name']}, {len(planned.sample_ids)} images to develop on")
    typer.echo(f"weights   {planned.weights['name']}")
    typer.echo(f"search    {searched}: {len(planned.trials)} trials")
    typer.echo(
        f"folds     {planned.study.folds.k} by {planned.study.folds.scheme}: {len(planned.tasks)} in all, {done} done"
    )
    typer.echo(f"cost      {cost.sentence()}")
