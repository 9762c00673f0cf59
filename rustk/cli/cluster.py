"""What the commands that may reach a cluster have in common: their options, and the connection."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rustk.cluster.client import Cluster
    from rustk.vocabulary.settings import Settings

PANEL = "On a cluster"

BackendOption = Annotated[str | None, typer.Option("--backend", help="local or kubernetes.", show_default=False)]
NamespaceOption = Annotated[str | None, typer.Option("--namespace", "-n", help="Of the cluster.", show_default=False)]
ImageOption = Annotated[
    str | None,
    typer.Option("--image", help="The worker's image, by digest.", show_default=False, rich_help_panel=PANEL),
]
AllowTagOption = Annotated[bool, typer.Option("--allow-tag", help="Take an image by a tag.", rich_help_panel=PANEL)]


def on_cluster(namespace: str | None = None, **others: Any) -> dict[str, Any] | None:
    """The flags of section `kubernetes`, for `settings(kubernetes=...)`; None when none was given."""
    given = {name: value for name, value in {"namespace": namespace, **others}.items() if value is not None}
    return given or None


def cluster_from(settings: "Settings") -> "Cluster":
    """A connection to the namespace of the settings."""
    from rustk.cluster.client import Cluster

    return Cluster(settings.kubernetes.namespace)
