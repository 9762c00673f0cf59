"""Whether what training needs is installed: rustk alone comes without TensorFlow."""

import importlib
import importlib.util
import os
import sys
import tempfile

from rustk.vocabulary.errors import BadStudy, RustkError


def has_tensorflow() -> bool:
    """Whether TensorFlow is installed; does not import it."""
    try:
        return importlib.util.find_spec("tensorflow") is not None
    except ValueError:  # a module that was blocked or half imported has no spec
        return False


def require_tensorflow() -> None:
    """Raise RustkError, saying what to install, where TensorFlow is missing; does not import it."""
    if not has_tensorflow():
        raise RustkError("TensorFlow is not installed: install rustk[train], or rustk[train-cpu] without a GPU")


def load_tensorflow() -> None:
    """Import TensorFlow for a command that people read: without what its libraries say on stderr while they load,
    before they heed TF_CPP_MIN_LOG_LEVEL. Where it can't be imported, all is shown. Raises RustkError where it is
    missing.
    """
    require_tensorflow()
    if "tensorflow" in sys.modules:
        return
    print("loading TensorFlow ...", file=sys.stderr)  # noqa: T201 - it takes many seconds
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            importlib.import_module("tensorflow")
        except BaseException:
            aside.seek(0)
            os.write(stderr, aside.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def thread_count() -> int:
    """How many threads one operation of a worker may use: RUSTK_THREADS, or one. Raises BadStudy for anything else."""
    text = os.environ.get("RUSTK_THREADS", "1")
    if not text.isdecimal() or int(text) < 1:
        raise BadStudy(f"RUSTK_THREADS={text!r}: expected how many threads a worker may use, at least 1")
    return int(text)
