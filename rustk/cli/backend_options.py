"""What the commands that reach a backend have in common: their options, and the backend itself."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rustk.cli.completion import complete_backend
from rustk.vocabulary.errors import BadStudy

if TYPE_CHECKING:
    from rustk.backends.base import Backend
    from rustk.store import Store
    from rustk.vocabulary.settings import Settings

PANEL = "On a cluster"

BackendOption = Annotated[
    str | None,
    typer.Option(
        "--backend",
        help="What trains the folds, as local or kubernetes.",
        show_default=False,
        autocompletion=complete_backend,
        metavar="NAME",
    ),
]
NamespaceOption = Annotated[
    str | None,
    typer.Option(
        "--namespace", "-n", help="The namespace that Jobs run in.", show_default=False, rich_help_panel=PANEL
    ),
]
ImageOption = Annotated[
    str | None,
    typer.Option(
        "--image",
        help="The worker's image: by digest, or by a tag that is resolved to one.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
AllowTagOption = Annotated[
    bool, typer.Option("--allow-tag", help="Use the image's tag as it is, without a digest.", rich_help_panel=PANEL)
]
MaxLiveOption = Annotated[
    int | None,
    typer.Option(
        "--max-live", help="Keep at most this many Jobs at a time.", min=1, show_default=False, rich_help_panel=PANEL
    ),
]
FoldsPerJobOption = Annotated[
    str | None,
    typer.Option(
        "--folds-per-job",
        metavar="N|auto",
        help="Folds that a Job trains in turn; auto plans from cost. By default one.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]


def on_cluster(namespace: str | None = None, **others: Any) -> dict[str, Any] | None:
    """The flags of section `kubernetes`, for `settings(kubernetes=...)`; None when none was given."""
    given = {name: value for name, value in {"namespace": namespace, **others}.items() if value is not None}
    return given or None


def backend_from(settings: "Settings", store: "Store", **flags: Any) -> "Backend":
    """The backend of the settings.

    flags: those of the command that not every backend honours, by their names in `Backend.honours`; None and False are
    not given. Raises BadStudy for one that this backend does not honour.
    """
    from rustk.backends import open_backend

    backend = open_backend(settings, store)
    for name, value in flags.items():
        if value not in (None, False) and name not in backend.honours:
            raise BadStudy(
                f"{_flag(name)} does not apply to the backend {backend.name}: leave it out, or choose another backend "
                "with --backend"
            )
    return backend


def _flag(name: str) -> str:
    return "--dry-run=server" if name == "dry_run_server" else f"--{name.replace('_', '-')}"
