"""What most commands begin with: the settings in force, the store, and study files."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rustk.cli.completion import complete_dataset
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.resources import resource_dir

if TYPE_CHECKING:
    from rustk.planning.study import Study
    from rustk.store import Store
    from rustk.vocabulary.settings import Settings

# Options that many commands share.
StoreOption = Annotated[
    str | None, typer.Option("--store", help="A directory, or s3://bucket/prefix.", show_default=False)
]
DatasetOption = Annotated[
    str | None,
    typer.Option(
        "--dataset", help="Needed when the store has several.", show_default=False, autocompletion=complete_dataset
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="FIELD=VALUE", help="Override a field, as in training.batch_size=64.", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def settings(**flags: Any) -> "Settings":
    """The settings in force, with what the command line gave (None: not given)."""
    from rustk.vocabulary.settings import load_settings

    return load_settings(flags)


def store_from(settings: "Settings", store: str | None = None) -> "Store":
    """The store of the settings, or the one at `store`."""
    from rustk.store import open_store

    url = settings.store if store is None else store
    try:
        return open_store(url, endpoint_url=settings.s3_endpoint_url, tell=lambda said: typer.echo(said, err=True))
    except BadStudy as error:
        from rustk.vocabulary.settings import origin_of

        where = origin_of("store", url) if store is None else None
        if settings.s3_endpoint_url is not None and "endpoint" in str(error):
            where = origin_of("s3_endpoint_url", settings.s3_endpoint_url)
        raise BadStudy(f"{where}: {error}" if where else str(error)) from None


def dataset_from(store: "Store", wanted: str | None) -> str:
    """The dataset of the settings, or the only one of the store. Raises BadStudy, which names the file or variable that
    a wrong one comes from."""
    from rustk.store.datasets import choose_dataset

    try:
        return choose_dataset(store, wanted)
    except BadStudy as error:
        from rustk.vocabulary.settings import origin_of

        where = origin_of("dataset", wanted) if wanted is not None else None
        raise BadStudy(f"{where}: {error}" if where else str(error)) from None


def study_names() -> list[str]:
    """The studies that ship with rustk."""
    return sorted(path.stem for path in resource_dir("jobs").glob("*.yaml"))


def read_study_file(study: str, extended_by: str | None = None) -> tuple[str, str]:
    """(text, source) of a shipped study by name, or of a file by path; a relative path after `extends` starts at the
    file that it stands in. One file has one source, by whatever path it is reached. Raises BadStudy."""
    # What reads YAML takes longer to import than --help may take.
    from rustk.vocabulary.checking import clip, did_you_mean
    from rustk.vocabulary.reading import read_text
    from rustk.vocabulary.user_paths import user_path

    where = f"{extended_by}: extends = " if extended_by else ""
    expected = "a study file in YAML"
    if study.endswith((".yaml", ".yml")):
        path = user_path(study, expected)
        if extended_by:
            path = Path(extended_by).parent / path
        source = _shown(path)
        return read_text(path, expected, source=f"{where}{source}"), source
    if study not in study_names():
        hint = did_you_mean(study, study_names())
        said = f"{extended_by}: extends = {clip(study)}: there is no such study" if extended_by else ""
        raise BadStudy(f"{said or f'there is no study {clip(study)}'}: {hint} (or the path of a .yaml file)")
    source = f"rustk's {study}.yaml"
    return read_text(resource_dir("jobs") / f"{study}.yaml", expected, source=source), source


def _shown(path: Path) -> str:
    """The one short name of a file: below the working directory as seen from there, elsewhere absolute."""
    try:
        real = os.path.realpath(path)
    except ValueError:  # a NUL in it
        return str(path)
    return real.removeprefix(os.path.realpath("") + os.sep)


def load_study(study: str, overrides: list[str] | None = None) -> "Study":
    """The study of this name or path, with `--set` overrides. Raises BadStudy."""
    from rustk.planning.resolving import resolve_study

    text, source = read_study_file(study)
    return resolve_study(text, source=source, read_base=read_study_file, overrides=overrides or ())
