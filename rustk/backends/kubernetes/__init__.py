"""A cluster: folds run as Kubernetes Jobs, one a fold or one a batch of them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rustk.backends.base import Backend
    from rustk.store import Store
    from rustk.vocabulary.settings import Settings


def open_backend(settings: "Settings", store: "Store") -> "Backend":
    """The cluster of the settings. Nothing is contacted yet."""
    from rustk.backends.kubernetes.backend import KubernetesBackend

    return KubernetesBackend(settings, store)
