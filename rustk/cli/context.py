"""What most commands begin with: the settings in force, the store, and study files."""

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    str | None, typer.Option("--dataset", help="Needed when the store has several.", show_default=False)
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

    return open_store(store or settings.store, endpoint_url=settings.s3_endpoint_url)


def study_names() -> list[str]:
    """The studies that ship with rustk."""
    return sorted(path.stem for path in resource_dir("jobs").glob("*.yaml"))


def read_study_file(study: str, extended_by: str | None = None) -> tuple[str, str]:
    """(text, source) of a shipped study by name, or of a file by path; a relative path after `extends` starts at the
    file that it stands in. Raises BadStudy."""
    if not study.endswith((".yaml", ".yml")):
        if study not in study_names():
            near = difflib.get_close_matches(study, study_names(), n=1)
            hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(study_names())},"
            where = f"{extended_by}: extends: " if extended_by else ""
            raise BadStudy(f"{where}there is no study {study!r}; {hint} or the path of a .yaml file")
        path = resource_dir("jobs") / f"{study}.yaml"
        source = f"jobs/{study}.yaml"
    else:
        path = Path(study).expanduser()
        if extended_by and not path.is_absolute():
            path = Path(extended_by).parent / path
        source = str(path)
    try:
        return path.read_text(encoding="utf-8"), source
    except OSError as error:
        raise BadStudy(f"{source}: {error.strerror}: expected a study file") from None
    except UnicodeDecodeError:
        raise BadStudy(f"{source}: not a text file: expected a study in YAML") from None


def load_study(study: str, overrides: list[str] | None = None) -> "Study":
    """The study of this name or path, with `--set` overrides. Raises BadStudy."""
    from rustk.planning.resolving import resolve_study

    text, source = read_study_file(study)
    return resolve_study(text, source=source, read_base=read_study_file, overrides=overrides or ())
