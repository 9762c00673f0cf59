"""Whether what training needs is installed: rustk alone comes without TensorFlow."""

import importlib.util

from rustk.vocabulary.errors import RustkError


def require_tensorflow() -> None:
    """Raise RustkError, saying what to install, where TensorFlow is missing; does not import it."""
    try:
        found = importlib.util.find_spec("tensorflow")
    except ValueError:  # a module that was blocked or half imported has no spec
        found = None
    if found is None:
        raise RustkError("TensorFlow is not installed: install rustk[train], or rustk[train-cpu] without a GPU")
