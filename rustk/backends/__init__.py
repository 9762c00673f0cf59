"""What trains the folds: this machine, or a cluster. One file or folder a kind, chosen by the setting `backend`."""

from typing import TYPE_CHECKING

from rustk.vocabulary.kinds import load_kind

if TYPE_CHECKING:
    from rustk.backends.base import Backend
    from rustk.store import Store
    from rustk.vocabulary.settings import Settings


def open_backend(settings: "Settings", store: "Store") -> "Backend":
    """The backend of the settings, for runs of `store`. Nothing is contacted yet.

    Raises BadStudy for a backend that there is none of, or settings that it can't work with.
    """
    module = load_kind("backends", settings.backend, "backend")
    backend: Backend = module.open_backend(settings, store)
    return backend
