"""`rustk final`: the chosen model, trained on all of develop and tested once."""

from typing import TYPE_CHECKING, Annotated

import typer

from rustk.cli.context import JsonOption, StoreOption, settings, store_from
from rustk.vocabulary.errors import RustkError

if TYPE_CHECKING:
    from rustk.report.sealed import SealedTest
    from rustk.store import Store


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
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Train a run's chosen trial on all of develop, for the epochs that cross-validation chose, save the model, and
    evaluate it on the sealed test split, once. It runs on this machine, whatever the backend."""
    from rustk.store.runs import find_run

    current = settings(store=store)
    opened = store_from(current)
    name = find_run(opened, run)
    arguments = ["--store", opened.url, "--run", name]
    for flag, value in (("--trial", trial), ("--epochs", epochs), ("--again", again)):
        if value is not None:
            arguments += [flag, str(value)]
    _train(arguments, current.s3_endpoint_url, quiet=json)
    sealed = _load(opened, name)
    if json:
        import json as json_module

        card = dict(sealed.card or {})
        typer.echo(json_module.dumps({"card": card, "openings": [dict(look) for look in sealed.openings]}, indent=2))
        return
    for title, value, interval in sealed.rows():
        typer.echo(f"{title:70} {value:>9}  ({interval})")
    typer.echo(sealed.sentence())
    typer.echo(f"model {opened.url}/runs/{name}/model/model.keras, its card beside it; not for clinical use")


def _train(arguments: list[str], endpoint_url: str | None, *, quiet: bool) -> None:
    """Run the worker to its end; it says itself, in one line on stderr, what is wrong."""
    import os
    import subprocess
    import sys

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


def _load(store: "Store", run: str) -> "SealedTest":
    from rustk.report.results import load_run
    from rustk.report.sealed import load_sealed_test

    results = load_run(store, run)
    return load_sealed_test(store, run, results.dataset["name"] if results.dataset else None, results.index)
