"""`rustk final`: the chosen model, trained on all of develop and tested once."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rustk.cli.cluster import AllowTagOption, BackendOption, ImageOption, NamespaceOption, cluster_from, on_cluster
from rustk.cli.context import JsonOption, StoreOption, settings, store_from
from rustk.vocabulary.errors import RustkError

if TYPE_CHECKING:
    from rustk.planning.plan import Plan
    from rustk.report.sealed import SealedTest
    from rustk.store import Store
    from rustk.vocabulary.settings import Settings

_EXIT_INTERRUPTED = 130


def final(
    run: Annotated[str, typer.Argument(metavar="RUN_OR_STUDY", help="A finished run, or a study: then its latest.")],
    trial: Annotated[int | None, typer.Option(help="Instead of the best one.", min=0, show_default=False)] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Instead of what cross-validation chose.", min=1, show_default=False)
    ] = None,
    again: Annotated[
        str | None,
        typer.Option(metavar="WHY", help="Open the test split's seal although it was opened.", show_default=False),
    ] = None,
    backend: BackendOption = None,
    image: ImageOption = None,
    allow_tag: AllowTagOption = False,
    namespace: NamespaceOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Train a run's chosen trial on all of develop, for the epochs that cross-validation chose, save the model, and
    evaluate it on the sealed test split, once. On a cluster it is one Job, and this command waits for it."""
    from rustk.report.final_choice import choose
    from rustk.store.runs import find_run, load_plan
    from rustk.training.seal import may_look

    current = settings(store=store, backend=backend, kubernetes=on_cluster(namespace, image=image))
    opened = store_from(current)
    name = find_run(opened, run)
    asked: dict[str, Any] = {"trial": trial, "epochs": epochs, "again": again}
    # What the worker would refuse is refused here, before one is started.
    chosen = choose(opened, name, trial, epochs)
    planned = load_plan(opened, name)
    if may_look(opened, planned.dataset["name"], name, chosen.trial, chosen.epochs, again).finished is None:
        if current.backend == "kubernetes":
            _train_on_cluster(opened, planned, current, asked, allow_tag=allow_tag, quiet=json)
        else:
            _train_here(opened, name, current, asked, quiet=json)
    _tell(opened, name, json=json)


def _train_here(store: "Store", run: str, current: "Settings", asked: dict[str, Any], *, quiet: bool) -> None:
    """Run the worker to its end; it says itself, in one line on stderr, what is wrong."""
    import os
    import subprocess
    import sys

    from rustk.planning.manifests import final_arguments

    arguments = ["--store", store.url, "--run", run, *final_arguments(**asked)]
    endpoint_url = current.s3_endpoint_url
    environment = {**os.environ, **({"RUSTK_S3_ENDPOINT_URL": endpoint_url} if endpoint_url else {})}
    done = subprocess.run(
        [sys.executable, "-m", "rustk.training", "final", *arguments],
        env=environment,
        stdout=subprocess.DEVNULL if quiet else None,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode > 0:
        # TensorFlow talks on stderr too; the worker's own word is the last line, if it came so far.
        last = done.stderr.strip().rpartition("\n")[2]
        typer.echo(last if last.startswith("rustk: ") else done.stderr, err=True)
        raise typer.Exit(done.returncode)
    if done.returncode < 0:
        raise RustkError(f"the worker was killed by signal {-done.returncode}: the same command goes on")


def _train_on_cluster(
    store: "Store", planned: "Plan", current: "Settings", asked: dict[str, Any], *, allow_tag: bool, quiet: bool
) -> None:
    """Start the Job, or find it started, and wait for its end."""
    from rustk.cluster.final import follow_final, start_final
    from rustk.cluster.rendering import render_final
    from rustk.vocabulary.names import model_card_key

    run = planned.run
    job = render_final(planned, current, **asked, allow_tag=allow_tag)
    cluster = cluster_from(current)
    name, namespace = job["metadata"]["name"], current.kubernetes.namespace
    said = "created" if start_final(cluster, job) else "is there already"
    if not quiet:
        typer.echo(f"Job {name} {said} in namespace {namespace}; watch it: kubectl -n {namespace} logs -f job/{name}")
    try:
        follow_final(cluster, job, lambda line: None if quiet else typer.echo(line))
    except KeyboardInterrupt:
        raise RustkError(
            f"stopped waiting; Job {name} goes on: the same command waits for it again, rustk cancel {run} ends it",
            exit_code=_EXIT_INTERRUPTED,
        ) from None
    if not store.exists(model_card_key(run)):
        raise RustkError(f"Job {name} succeeded, but {store.url} has no final model of it: is its store this one?")


def _tell(store: "Store", run: str, *, json: bool) -> None:
    sealed = _load(store, run)
    if json:
        import json as json_module

        card = dict(sealed.card or {})
        typer.echo(json_module.dumps({"card": card, "openings": [dict(look) for look in sealed.openings]}, indent=2))
        return
    for title, value, interval in sealed.rows():
        typer.echo(f"{title:70} {value:>9}  ({interval})")
    typer.echo(sealed.sentence())
    typer.echo(f"model {store.url}/runs/{run}/model/model.keras, its card beside it; not for clinical use")


def _load(store: "Store", run: str) -> "SealedTest":
    from rustk.report.results import read_run_dataset, read_run_study
    from rustk.report.sealed import load_sealed_test

    dataset, index, _ = read_run_dataset(store, read_run_study(store, run))
    return load_sealed_test(store, run, dataset["name"] if dataset else None, index)
