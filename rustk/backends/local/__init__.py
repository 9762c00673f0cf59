"""This machine: folds run in worker processes that import TensorFlow once."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rustk.backends.base import Backend
    from rustk.store import Store
    from rustk.vocabulary.settings import Settings


def open_backend(settings: "Settings", store: "Store") -> "Backend":
    """This machine, as the settings have it. Nothing is started yet."""
    from rustk.backends.local.backend import LocalBackend

    return LocalBackend(settings, store)
